/* The editor of rules: what a condition may add to its comparison, as boxes to tick. */
'use strict';
{
    const { element, fill } = guidon;

    /** The boxes of one condition. `raw` is its clause, `changed` is called after each click. */
    const options = (texts, raw, changed) => {
        const made = name => {
            const box = element('input', { type: 'checkbox', checked: raw[name] === true });
            const words = element('span');
            box.addEventListener('change', changed);
            return { box, words, label: element('label', { className: 'rule-option' }, box, words) };
        };
        const boxes = { ignoreCase: made('ignoreCase'), orMissing: made('orMissing') };
        const isTicked = name => !boxes[name].label.hidden && boxes[name].box.checked;
        return {
            elements: Object.values(boxes).map(({ label }) => label),
            isTicked,
            /** Offer some of them: an object with a boolean for each. */
            offer(offered, attribute) {
                for (const [name, { label, words }] of Object.entries(boxes)) {
                    label.hidden = !offered[name];
                    words.textContent = fill(texts[name], { attribute });
                }
            },
            /** What a clause has of them: nothing where none is ticked. */
            value: () => Object.fromEntries(
                Object.keys(boxes).filter(isTicked).map(name => [name, true])),
        };
    };

    Object.assign(guidon, { options });
}
