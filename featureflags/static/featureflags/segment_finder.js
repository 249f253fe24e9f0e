/* Fields that find segments as their key or name is typed. `data-segments` is the address that finds them, and the
   field's own list shows what was found. Without scripts the key is typed. */
'use strict';
// A page may hold this script twice.
window.guidonFinder ??= (() => {
    const PAUSE = 200;
    const waiting = new WeakMap();

    const find = async input => {
        const text = input.value.trim();
        const address = new URL(input.dataset.segments, location.href);
        address.searchParams.set('q', text);
        const answer = await fetch(address, { redirect: 'manual' });
        if (!answer.ok) {
            return;
        }
        const { found } = await answer.json();
        if (input.value.trim() === text) {
            input.list.replaceChildren(...found.map(
                ({ value, label }) => Object.assign(document.createElement('option'), { value, label })));
        }
    };
    const soon = ({ target }) => {
        if (target.dataset?.segments) {
            clearTimeout(waiting.get(target));
            // Not found just now: what is typed counts all the same.
            waiting.set(target, setTimeout(() => find(target).catch(() => {}), PAUSE));
        }
    };
    document.addEventListener('input', soon);
    document.addEventListener('focusin', soon);
    return { find };
})();
