/* Keeps what is typed into the form of a segment in this tab, until it is saved: a session that ends,
   a reload or the browser's Back loses nothing. `session.js` forgets what was saved. */
'use strict';
{
    const { element, button, fill } = guidon;
    const PREFIX = 'guidon-draft:';
    const ID = '_draft';
    const PAUSE = 400;
    const texts = () => document.getElementById('draft-texts').dataset;

    /** What the form holds, as `[name, value, label]`; a label only where a list was filled later. */
    const entriesOf = form => [...new FormData(form)]
        .filter(([name, value]) => ![ID, 'csrfmiddlewaretoken'].includes(name) && typeof value === 'string')
        .map(([name, value]) => {
            const chosen = form.elements[name]?.selectedOptions?.[0];
            return chosen ? [name, value, chosen.textContent] : [name, value];
        });

    const fillIn = (form, entries) => {
        for (const control of form.elements) {
            if (control.type === 'checkbox') {
                control.checked = entries.some(([name]) => name === control.name);
            }
        }
        for (const [name, value, label] of entries) {
            const control = form.elements[name];
            if (!control || control.type === 'checkbox') {
                continue;
            }
            if (label !== undefined && ![...control.options].some(each => each.value === value)) {
                control.add(new Option(label, value));
            }
            control.value = value;
            control.dispatchEvent(new Event('change', { bubbles: true }));
        }
    };

    const read = key => {
        try {
            return JSON.parse(sessionStorage.getItem(PREFIX + key));
        } catch {
            return null;
        }
    };
    const keep = (key, draft) => {
        try {
            sessionStorage.setItem(PREFIX + key, JSON.stringify(draft));
        } catch {
            // No room, or no storage here. Saving asks for the session all the same.
        }
    };
    const drop = key => {
        try {
            sessionStorage.removeItem(PREFIX + key);
        } catch {
            // As above.
        }
    };

    /** Keep the form of `builder`. `whenReady` is called with what is saved once the form is filled. */
    const keepForm = (builder, whenReady) => {
        const { form } = builder.area;
        const { user } = document.getElementById('session-texts').dataset;
        const key = `${user}:${location.pathname}`;
        const id = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;
        const line = element('p', { className: 'draft-note', role: 'status' });
        const state = () => JSON.stringify(entriesOf(form));
        const isBound = builder.hasAttribute('unsaved');
        let saved = null;
        let waiting = null;
        let isSent = false;

        const store = () => {
            clearTimeout(waiting);
            if (state() === saved) {
                drop(key);
            } else {
                keep(key, { id, at: Date.now(), entries: entriesOf(form) });
            }
        };
        const fillWith = entries => {
            fillIn(form, entries);
            builder.reload();
            store();
        };
        const say = (text, ...actions) => {
            line.replaceChildren(text, ...actions.flatMap(([label, act]) => {
                const made = button(label, { className: 'rule-link' });
                made.addEventListener('click', () => {
                    line.remove();
                    act();
                });
                return [' ', made];
            }));
            form.prepend(line);
        };
        const bringBack = draft => {
            fillWith(draft.entries);
            const served = JSON.parse(saved);
            say(texts().back, [texts().startAgain, () => fillWith(served)]);
        };
        const offer = draft => say(
            fill(texts().kept, { time: new Date(draft.at).toLocaleString(document.documentElement.lang) }),
            [texts().bringBack, () => bringBack(draft)], [texts().discard, store],
        );

        /** The form as the server sent it; a browser may have filled in something else meanwhile. */
        const asServed = () => {
            form.reset();
            const version = form.elements._version;
            if (version) {
                version.value = version.dataset.served;
            }
            builder.reload();
        };
        const start = wasHere => {
            const draft = read(key);
            if (wasHere && !isBound) {
                asServed();
            }
            saved = isBound ? '' : state();
            if (isBound) {
                wasHere && draft ? fillWith(draft.entries) : store();
            } else if (draft && JSON.stringify(draft.entries) !== saved) {
                wasHere ? bringBack(draft) : offer(draft);
            } else {
                drop(key);
            }
            whenReady({ isUnsaved: () => !isSent && state() !== saved });
        };

        form.append(element('input', { type: 'hidden', name: ID, value: id }));
        const soon = () => {
            clearTimeout(waiting);
            waiting = setTimeout(store, PAUSE);
        };
        for (const event of ['input', 'change', 'rules:changed']) {
            form.addEventListener(event, soon);
        }
        form.addEventListener('submit', event => {
            // A draft opens in a tab of its own, and this form stays.
            isSent = !event.defaultPrevented && event.submitter?.formTarget !== '_blank';
            store();
        });
        window.addEventListener('pagehide', () => saved !== null && !isSent && store());
        window.addEventListener('pageshow', event => {
            if (!event.persisted) {
                return;
            }
            // The page as it was left. What was saved from it is not what it shows.
            guidonSession.forgetSaved();
            if (isSent && read(key)?.id !== id) {
                location.reload();
            }
            isSent = false;
        });
        // A browser fills in what was typed by `pageshow`, when somebody comes back to a page.
        const way = performance.getEntriesByType('navigation')[0]?.type;
        if (way === 'back_forward' || way === 'reload') {
            window.addEventListener('pageshow', () => start(true), { once: true });
        } else {
            start(false);
        }
    };

    guidon.keepForm = keepForm;
}
