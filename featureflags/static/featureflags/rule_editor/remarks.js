/* The editor of rules: remarks on what is valid and probably a mistake. They stop nobody from saving. */
'use strict';
{
    const { element, fill } = guidon;
    /** Letters that two names may differ in for one to be taken for the other. */
    const NEAR = 2;

    /** How many letters must be added, left out or changed to make one text of another. */
    const distance = (one, other) => {
        let row = Array.from({ length: other.length + 1 }, (_, at) => at);
        for (let at = 0; at < one.length; at++) {
            const next = [at + 1];
            for (let place = 0; place < other.length; place++) {
                const change = row[place] + (one[at] === other[place] ? 0 : 1);
                next.push(Math.min(change, row[place + 1] + 1, next[place] + 1));
            }
            row = next;
        }
        return row.at(-1);
    };

    /** Of a condition: a metadata field that nobody seems to have, and the one that may be meant. */
    const unknownField = (builder, condition) => {
        const { vocabulary: { metadata, customPrefix }, texts } = builder;
        const { attribute: name = '' } = condition.value();
        if (typeof name !== 'string' || !name.startsWith(customPrefix) || name === customPrefix
            || metadata.length === 0 || metadata.some(each => each.name === name)) {
            return '';
        }
        const field = name.slice(customPrefix.length);
        const near = metadata.map(each => [distance(each.label, field), each.label])
            .filter(([letters]) => letters <= NEAR).sort(([one], [other]) => one - other)[0];
        const said = fill(texts.unknownField, { field: guidon.show(field) });
        return near ? `${said} ${fill(texts.meant, { field: guidon.show(near[1]) })}` : said;
    };

    /** Show a remark at a rule or a condition; an empty one takes it away. */
    const remark = (part, text) => {
        const shown = part.element.querySelector(':scope > .rule-remark');
        if (shown?.textContent === text) {
            return;
        }
        shown?.remove();
        if (text) {
            part.element.append(element('p', { className: 'rule-remark' }, text));
        }
    };

    /** What a condition says, in one order. */
    const tested = ({ attribute = '', op = '', values = [], negate = false, contextKind = '' }) =>
        [attribute, op, values, negate, contextKind];

    const look = builder => {
        const seen = new Map();
        builder.rules.forEach((rule, at) => {
            const { clauses = [] } = rule.value();
            const key = JSON.stringify(clauses.map(tested));
            const first = clauses.length ? seen.get(key) : undefined;
            seen.set(key, first ?? at + 1);
            remark(rule, first ? fill(builder.texts.sameRule, { rule: first }) : '');
            rule.conditions.forEach(each => remark(each, unknownField(builder, each)));
        });
    };

    for (const name of ['rules:ready', 'rules:changed']) {
        document.addEventListener(name, ({ target: builder }) => {
            if (builder.isForm) {
                look(builder);
            }
        });
    }
}
