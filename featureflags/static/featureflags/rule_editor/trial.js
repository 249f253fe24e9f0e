/* One person tested against the rules as they are, below the preview. */
'use strict';
{
    /** Send a part of the form to a page of ours. A login in another tab has changed the token: once more. */
    const post = async (form, url, body, signal = null) => {
        const send = () => fetch(url, {
            method: 'POST', body, redirect: 'manual', signal,
            headers: { 'X-CSRFToken': form.elements.csrfmiddlewaretoken.value },
        });
        const answer = await send();
        return answer.status === 403 && await guidonSession.ask() === 'in' ? send() : answer;
    };

    /** `fields`: what the preview sends, to which the person is added. */
    const trial = (form, panel, fields) => {
        const part = panel.querySelector('.impact-test');
        const [input, start, shown] = ['input', 'button', '.impact-answer'].map(
            each => part.querySelector(each));

        const test = async who => {
            if (!who.trim()) {
                input.focus();
                return;
            }
            const body = fields();
            body.set('who', who);
            part.setAttribute('aria-busy', 'true');
            try {
                const answer = await post(form, part.dataset.url, body);
                if (answer.ok) {
                    // From our own template, which escapes all values.
                    shown.innerHTML = await answer.text();
                } else {
                    shown.replaceChildren(...answer.type === 'opaqueredirect'
                        ? guidonSession.loggedOut() : [panel.dataset.failed]);
                }
            } catch {
                shown.textContent = panel.dataset.failed;
            }
            part.removeAttribute('aria-busy');
        };

        start.addEventListener('click', () => test(input.value));
        input.addEventListener('keydown', event => {
            if (event.key === 'Enter') {
                // Else it would save the form.
                event.preventDefault();
                test(input.value);
            }
        });
        shown.addEventListener('click', ({ target }) => {
            const chosen = target.closest('button[name=who]');
            if (chosen) {
                test(chosen.value);
                input.focus();
            }
        });
        return {
            allow(isAllowed) {
                part.hidden = !isAllowed;
            },
        };
    };

    Object.assign(guidon, { post, trial });
}
