/* A form is sent only while its page is logged in. A login elsewhere changes the CSRF token, so each
   form gets the one that is valid now. */
'use strict';
{
    const PATIENCE_MS = 10_000;
    const ours = () => document.getElementById('session-texts').dataset;

    /** Asks the server who this is: 'in' (all forms then have a valid token), 'out', or 'away'. */
    const ask = async () => {
        let answer;
        try {
            answer = await fetch(ours().url, {
                redirect: 'manual', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS),
            });
        } catch {
            return 'away';
        }
        if (answer.type === 'opaqueredirect') {
            return 'out';
        }
        if (answer.ok) {
            const { csrf } = await answer.json();
            for (const field of document.querySelectorAll('[name=csrfmiddlewaretoken]')) {
                field.value = csrf;
            }
        }
        // An odd answer must not keep anybody from saving.
        return 'in';
    };

    /** What to do after a logout: a link to log in, which leaves this page as it is. */
    const loggedOut = () => {
        const link = document.createElement('a');
        Object.assign(link, { href: ours().login, target: '_blank', textContent: ours().logIn });
        Object.assign(link.style, { color: 'inherit', textDecoration: 'underline' });
        return [`${ours().out} `, link];
    };

    const note = document.createElement('p');
    note.className = 'errornote session-note';
    note.setAttribute('role', 'alert');
    const announce = (form, ...parts) => {
        note.replaceChildren(...parts);
        const row = [...form.querySelectorAll('.submit-row')].at(-1);
        row ? row.before(note) : form.prepend(note);
        note.scrollIntoView({ block: 'nearest' });
    };

    /** What was typed into the other forms of the page, and would be lost with it. */
    const sent = form => form.method === 'post' && form.elements.csrfmiddlewaretoken;
    const stateOf = form => JSON.stringify([...new FormData(form)].filter(
        ([name, value]) => name !== 'csrfmiddlewaretoken' && typeof value === 'string'));
    const begun = new Map();
    const isOtherTyped = form => [...begun].some(
        ([other, state]) => other !== form && other.isConnected && stateOf(other) !== state);
    document.addEventListener('DOMContentLoaded', () => {
        for (const form of document.querySelectorAll('#content form')) {
            // The editor of rules watches its own form.
            if (sent(form) && !form.querySelector('rule-builder')) {
                begun.set(form, stateOf(form));
            }
        }
    });

    const waiting = new Set();
    const allowed = new WeakSet();
    const send = async (form, submitter) => {
        const state = await ask();
        waiting.delete(form);
        if (state === 'in') {
            note.remove();
            allowed.add(form);
            form.requestSubmit(submitter);
            // Refused by a check of the form: the next try asks again.
            allowed.delete(form);
        } else {
            announce(form, ...state === 'out' ? loggedOut() : [ours().away]);
        }
    };
    window.addEventListener('submit', event => {
        const { target: form, submitter } = event;
        if (allowed.delete(form)) {
            return;
        }
        const stop = () => {
            event.preventDefault();
            // No other script is to see this as a form that is sent.
            event.stopImmediatePropagation();
        };
        if (isOtherTyped(form) && !window.confirm(ours().other)) {
            stop();
            return;
        }
        if (!sent(form)) {
            return;
        }
        stop();
        if (!waiting.has(form)) {
            waiting.add(form);
            send(form, submitter);
        }
    }, true);

    // After logging in elsewhere, people see that they can go on.
    document.addEventListener('visibilitychange', async () => {
        if (!document.hidden && note.isConnected && await ask() === 'in') {
            note.replaceChildren(ours().again);
        }
    });

    /** Forget the form that was saved: a cookie of the server names it. `drafts.js` keeps them. */
    const forgetSaved = () => {
        const saved = document.cookie.match(/(?:^|; )guidon_saved=(\w+)/)?.[1];
        if (!saved) {
            return;
        }
        for (const key of Object.keys(sessionStorage)) {
            if (key.startsWith('guidon-draft:') && JSON.parse(sessionStorage[key]).id === saved) {
                sessionStorage.removeItem(key);
            }
        }
        document.cookie = 'guidon_saved=; path=/; max-age=0; samesite=lax';
    };

    const isTouched = control => {
        if (control.type === 'hidden' || control.type === 'submit' || control.readOnly) {
            return false;
        }
        if (control.type === 'checkbox' || control.type === 'radio') {
            return control.checked !== control.defaultChecked;
        }
        if (control.type === 'select-one') {
            const served = [...control.options].findIndex(each => each.defaultSelected);
            // None is chosen in a list that is filled while somebody types.
            return Math.max(control.selectedIndex, 0) !== Math.max(served, 0);
        }
        return control.options ? [...control.options].some(each => each.selected !== each.defaultSelected)
            : control.value !== control.defaultValue;
    };
    /** A page from the browser's own cache has an old token, and old numbers: it is asked for anew, unless
        something is typed there, or it was the answer to a form. The editor renews its numbers by itself. */
    window.addEventListener('pageshow', ({ persisted }) => {
        if (!persisted) {
            return;
        }
        const controls = document.querySelectorAll('#content :is(input, select, textarea)');
        const isKept = ours().method !== 'GET' || [...controls].some(isTouched)
            || document.querySelector('rule-builder');
        isKept ? ask() : location.reload();
    });

    forgetSaved();
    window.guidonSession = { ask, loggedOut, forgetSaved };
}
