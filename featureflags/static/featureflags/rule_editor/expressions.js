/* The editor of rules: an input for regular expressions that tries them on an example. */
'use strict';
{
    const { element, inputs, chips, asText } = guidon;
    const PAUSE = 250;
    const splitLines = text => text.split('\n').map(line => line.trim()).filter(line => line !== '');

    /** Ask the server, a moment after the last change: RE2 is not the expressions of a browser. */
    const trial = (field, values) => {
        const { texts, tryAddress } = field.vocabulary;
        const text = element('input', {
            type: 'text', autocomplete: 'off', className: 'rule-example', placeholder: texts.example,
            'aria-label': texts.example,
        });
        const answer = element('p', { className: 'rule-note rule-answer', role: 'status' });
        let waiting = null;
        let running = null;
        const ask = async () => {
            running?.abort();
            const { signal } = running = new AbortController();
            const form = text.closest('form');
            const body = new FormData();
            body.set('text', text.value);
            values().forEach(pattern => body.append('pattern', pattern));
            if (field.ignoresCase()) {
                body.set('ignore_case', 'on');
            }
            try {
                const found = await fetch(tryAddress, {
                    method: 'POST', body, signal, redirect: 'manual',
                    headers: { 'X-CSRFToken': form.elements.csrfmiddlewaretoken.value },
                });
                const { results } = await found.json();
                answer.textContent = results.map(({ words }) => words).join(' ');
                answer.classList.toggle('rule-found', results.some(({ matches }) => matches));
            } catch {
                answer.textContent = signal.aborted ? answer.textContent : texts.notTried;
            }
        };
        const soon = () => {
            clearTimeout(waiting);
            answer.textContent = '';
            if (text.value !== '' && values().length) {
                waiting = setTimeout(ask, PAUSE);
            }
        };
        text.addEventListener('input', soon);
        return { element: element('div', { className: 'rule-try' }, text, answer), soon };
    };

    const expression = field => {
        let again = () => {};
        const typed = chips({ ...field, changed: () => { field.changed(); again(); } },
                            { read: asText, parts: splitLines, problem: () => '' });
        const { element: tried, soon } = trial(field, () => typed.values());
        again = soon;
        return {
            ...typed,
            element: element('div', { className: 'rule-values rule-expression' }, typed.element, tried),
            optionChanged: soon,
        };
    };

    inputs.expression.make = expression;
}
