/* The editor of rules: attributes of the vocabulary, and what the form can show of a condition. */
'use strict';
{
    const { inputs } = guidon;
    const FLAGS = ['negate', 'ignoreCase', 'orMissing'];
    const FIELDS = new Set(['attribute', 'op', 'values', 'contextKind', ...FLAGS]);
    const isObject = value => value !== null && typeof value === 'object' && !Array.isArray(value);

    /** The vocabulary's entry for an attribute; null if it has no such name. */
    const find = (vocabulary, name) => {
        const known = vocabulary.attributes.find(attribute => attribute.name === name);
        if (known !== undefined) {
            return known;
        }
        const { customPrefix, anyType: type } = vocabulary;
        if (!name.startsWith(customPrefix)) {
            return null;
        }
        const seen = vocabulary.metadata.find(attribute => attribute.name === name);
        return { label: name.slice(customPrefix.length), choices: [], ...seen, name, type };
    };

    /** The inputs of an attribute by operator, in the order in which they are offered: of metadata,
        those first that fit the type of most values. */
    const inputsOf = (vocabulary, attribute) => {
        const byOp = { ...vocabulary.types[attribute.type], ...attribute.inputs };
        if ('in' in byOp && attribute.choices.length) {
            byOp.in = 'choice';
        }
        const [seen] = attribute.types ?? [];
        const first = Object.keys(vocabulary.types[seen] ?? {}).filter(op => op in byOp);
        const ops = new Set([...first, ...Object.keys(byOp)]);
        return Object.fromEntries([...ops].map(op => [op, byOp[op]]));
    };

    /** Whether the form can show a condition without losing anything of it. */
    const canShow = (vocabulary, raw) => {
        if (!isObject(raw) || !Object.keys(raw).every(name => FIELDS.has(name))) {
            return false;
        }
        const { attribute: name = '', op = '', values = [], contextKind = null } = raw;
        const isPlain = typeof name === 'string' && !name.startsWith('/') && typeof op === 'string'
            && Array.isArray(values) && FLAGS.every(flag => typeof (raw[flag] ?? false) === 'boolean')
            && [null, '', 'user'].includes(contextKind);
        if (!isPlain) {
            return false;
        }
        if (op === vocabulary.segmentMatch) {
            return inputs.segment.shows(values);
        }
        if (name === '') {
            return op === '' && values.length === 0;
        }
        const attribute = find(vocabulary, name);
        const input = attribute && inputsOf(vocabulary, attribute)[op];
        return Boolean(input) && inputs[input].shows(values);
    };

    Object.assign(guidon, { isObject, find, inputsOf, canShow });
}
