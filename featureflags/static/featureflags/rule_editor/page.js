/* The page around the editor of rules: what to correct, the preview, and changes not yet saved. */
'use strict';
{
    const { element, renew } = guidon;
    const PAUSE = 350;

    /** A list of links to everything that is wrong, on top of the form. */
    const listErrors = (form, builder) => {
        const { texts } = builder;
        const link = (text, focus) => {
            const made = element('a', { href: '#' }, text);
            made.addEventListener('click', event => {
                event.preventDefault();
                focus();
            });
            return element('li', {}, made);
        };
        const fields = [...form.querySelectorAll('.form-row.errors')]
            .filter(row => !(builder.isForm && row.contains(builder)))
            .flatMap(row => [...row.querySelectorAll('.errorlist > li')].map(item => {
                const control = row.querySelector('input, select, textarea:not([hidden])');
                const label = row.querySelector('label')?.textContent.trim() ?? '';
                return link(`${label} ${item.textContent}`, () => control.focus());
            }));
        const items = [
            ...fields, ...builder.wrong.map(({ part, text }) => link(text, () => part.focus())),
        ];
        form.querySelector('.rule-summary')?.remove();
        if (items.length === 0) {
            return;
        }
        const summary = element(
            'div', { className: 'rule-summary', role: 'alert', tabIndex: -1 },
            element('h2', {}, texts.correct), element('ul', {}, ...items),
        );
        (form.querySelector('.errornote') ?? form.firstElementChild).after(summary);
    };

    /** A link may name a rule or a condition, which exists only now. */
    const showAsked = () => {
        const asked = /^#rule-\d+(-condition-\d+)?$/.test(location.hash)
            && document.getElementById(location.hash.slice(1));
        const part = asked && guidon.parts.get(asked);
        const show = () => {
            asked.scrollIntoView({ block: 'center' });
            part.focus();
        };
        if (part && document.readyState === 'complete') {
            show();
        } else if (part) {
            // A browser follows the fragment itself once all is loaded, and takes the focus away.
            window.addEventListener('load', () => setTimeout(show), { once: true });
        }
    };

    const BY_NAME = 'by_name-';
    const byName = form => [...new FormData(form)].filter(([name]) => name.startsWith(BY_NAME));

    /** Calls `changed` once the member by name is another one. Django's widgets send no event of the browser's own
        for all of it, so each event near them is an occasion to look. */
    const watchMember = (form, changed) => {
        const part = form.querySelector('#by-name');
        const state = () => JSON.stringify(byName(form));
        let last = part && state();
        const look = () => {
            const now = state();
            if (now !== last) {
                last = now;
                changed();
            }
        };
        for (const event of part ? ['change', 'input', 'focusin', 'focusout', 'click'] : []) {
            part.addEventListener(event, look);
        }
        if (part && window.django?.jQuery) {
            django.jQuery(part).on('change', look);
        }
    };

    /** What the server says of the rules as they are, a moment after the last change. Without
        rules it says it of those that are saved. */
    const preview = (form, panel, rules = null) => {
        const shown = panel.querySelector('.impact-shown');
        const status = panel.querySelector('.impact-status');
        const lint = panel.querySelector('.lint');
        const bar = panel.parentElement.querySelector('.impact-bar');
        const title = panel.querySelector('h3');
        let waiting = null;
        let running = null;
        let isLoggedOut = false;

        /** In short, to screen readers and below the rules of a narrow page. What is the same is not said again. */
        const summarise = text => {
            if (status.textContent !== text) {
                status.textContent = text;
            }
            bar.querySelector('span').textContent = text;
        };
        const say = (...parts) => {
            const line = element('p', {}, ...parts);
            shown.replaceChildren(line);
            summarise(line.textContent);
        };
        const isBusy = isIt => [panel, bar].forEach(
            part => isIt ? part.setAttribute('aria-busy', 'true') : part.removeAttribute('aria-busy'));
        bar.addEventListener('click', () => {
            panel.scrollIntoView();
            title.focus();
        });
        const fields = isQuick => {
            const body = new FormData();
            if (isQuick) {
                body.set('quick', 'on');
            }
            body.set('segment', panel.dataset.segment);
            if (rules) {
                body.set('rules', rules());
                body.set('key', form.elements.key?.value ?? '');
                if (form.elements.salt) {
                    body.set('salt', form.elements.salt.value);
                }
                body.set('is_active', form.elements.is_active?.checked ? 'on' : '');
                byName(form).forEach(([name, value]) => body.set(name, value));
            }
            return body;
        };
        const send = (signal, isQuick, url = panel.dataset.url) => guidon.post(
            form, url, fields(isQuick), signal);
        const show = async ({ signal }, isQuick) => {
            const answer = await send(signal, isQuick);
            isLoggedOut = answer.type === 'opaqueredirect';
            if (!answer.ok && !isQuick && !isLoggedOut) {
                // The estimate stays.
                return;
            }
            if (!answer.ok) {
                say(...isLoggedOut ? guidonSession.loggedOut() : [panel.dataset.failed]);
                return;
            }
            renew(shown, await answer.text(), title);
            const summary = shown.querySelector('[data-summary]')?.dataset.summary ?? '';
            trial.allow(Boolean(shown.querySelector('[data-may-test]')));
            if (shown.querySelector('[data-first]')) {
                bar.querySelector('span').textContent = summary;
                await show({ signal }, false);
            }
            // After the exact number, or where there is none: one announcement for one change.
            if (!signal.aborted && shown.querySelector('[data-summary]')?.dataset.summary === summary) {
                summarise(summary);
            }
        };
        /** What is odd about the rules: asked after the preview, which must not wait for it. */
        const look = async ({ signal }) => {
            const answer = await send(signal, false, panel.dataset.lint);
            if (answer.ok) {
                renew(lint, await answer.text(), title);
            }
        };
        const ask = async () => {
            running?.abort();
            const mine = running = new AbortController();
            isBusy(true);
            try {
                await show(mine, true);
            } catch {
                if (!mine.signal.aborted) {
                    say(panel.dataset.failed);
                }
            }
            if (running === mine) {
                isBusy(false);
                look(mine).catch(() => {});
            }
        };
        const trial = guidon.trial(form, panel, fields);
        document.addEventListener('visibilitychange', async () => {
            if (!document.hidden && isLoggedOut && await guidonSession.ask() === 'in') {
                ask();
            }
        });
        window.addEventListener('pageshow', ({ persisted }) => {
            if (persisted) {
                // Numbers of a page from the browser's own cache are old.
                ask();
            }
        });
        panel.hidden = bar.hidden = false;
        ask();
        const soon = () => {
            clearTimeout(waiting);
            waiting = setTimeout(ask, PAUSE);
        };
        watchMember(form, soon);
        return soon;
    };

    /** The salt is shown where a rule has a percentage, and where it is set or refused. */
    const showSalt = builder => {
        const { salt } = builder.area.form.elements;
        const part = salt?.closest('fieldset');
        if (part) {
            part.hidden = builder.isForm && salt.value === '' && !part.querySelector('.errors')
                && builder.rules.every(({ share }) => share.fields.hidden);
        }
    };

    /** Where a field of half a megabyte was read inside a container, Chromium lays out nothing of it, and
        keeps to that until the container is shown anew. */
    const layOut = builder => {
        const container = builder.closest('.form-row > div');
        if (builder.offsetWidth === 0 && container?.offsetWidth) {
            container.style.display = 'none';
            container.getBoundingClientRect();
            container.style.display = '';
        }
    };

    document.addEventListener('rules:ready', ({ target: builder }) => {
        const { form } = builder.area;
        layOut(builder);
        window.addEventListener('load', () => layOut(builder), { once: true });
        showSalt(builder);
        form.elements.salt?.addEventListener('input', () => builder.notify());
        const panel = form.querySelector('.impact');
        const soon = preview(form, panel, () => builder.area.value);
        form.elements.is_active?.addEventListener('change', soon);
        form.elements.key?.addEventListener('change', soon);
        let wrong = builder.wrong.length;
        listErrors(form, builder);
        showAsked();
        builder.addEventListener('rules:refused', () => listErrors(form, builder));
        builder.addEventListener('rules:changed', () => {
            soon();
            showSalt(builder);
            if (builder.wrong.length < wrong) {
                listErrors(form, builder);
            }
            wrong = builder.wrong.length;
        });
        guidon.keepForm(builder, ({ isUnsaved }) => {
            // A question before leaving a form with changes.
            window.addEventListener('beforeunload', event => {
                if (isUnsaved()) {
                    event.preventDefault();
                }
            });
        });
    });

    // A user who may only view has no editor.
    document.addEventListener('DOMContentLoaded', () => {
        const panel = document.querySelector('.impact');
        if (panel && !document.querySelector('rule-builder')) {
            preview(panel.closest('form'), panel);
        }
    });
}
