/* The editor of rules: inputs for dates that move, and for lengths. Made and used as those in `inputs.js`. */
'use strict';
{
    const { element, option, inputs } = guidon;
    const DURATION = /^P(?:T(\d{1,6})(H)|(\d{1,4})([DWMY]))$/;
    const DAY = /^(\d\d)-(\d\d)$/;

    const select = (label, changed, options, value) => {
        const made = element('select', { 'aria-label': label },
                             ...options.map(each => option(...each)));
        made.value = value;
        made.addEventListener('change', changed);
        return made;
    };
    const number = (label, changed, value, most) => {
        const made = element('input', {
            type: 'number', min: 1, max: most, step: 1, className: 'rule-number', value,
            'aria-label': label, required: false,
        });
        made.addEventListener('input', changed);
        return made;
    };
    const whole = (...children) => element('div', { className: 'rule-values' }, ...children);
    const isWhole = (input, most) => /^\d+$/.test(input.value) && +input.value >= 1
        && +input.value <= most;

    /** `P14D` as a number and a unit. */
    const duration = field => {
        const { texts, units } = field.vocabulary;
        const [, hours, , count, unit = 'D'] = DURATION.exec(field.values[0] ?? '') ?? [];
        const amount = number(`${field.label}: ${texts.amount}`, field.changed, count ?? hours ?? '', 9999);
        const chosen = select(`${field.label}: ${texts.unit}`, field.changed, units, hours ? 'H' : unit);
        return {
            element: whole(amount, chosen),
            values: () => amount.value.trim() === '' ? []
                : [chosen.value === 'H' ? `PT${+amount.value}H` : `P${+amount.value}${chosen.value}`],
            focus: () => amount.focus(),
            problem: () => amount.validity.badInput || (amount.value !== '' && !isWhole(amount, 9999))
                ? texts.noAmount : '',
        };
    };

    /** A number of entries. */
    const count = field => {
        const { texts } = field.vocabulary;
        const amount = number(field.label, field.changed, field.values[0] ?? '', 1e6);
        amount.min = 0;
        return {
            element: whole(amount, element('span', { className: 'rule-zone' }, texts.entries)),
            values: () => amount.value.trim() === '' ? [] : [+amount.value],
            focus: () => amount.focus(),
            problem: () => amount.validity.badInput || !/^\d*$/.test(amount.value) ? texts.noCount : '',
        };
    };

    const period = field => {
        const { texts, periods } = field.vocabulary;
        const [value = ''] = field.values;
        const chosen = select(field.label, field.changed, [['', texts.choose], ...periods], value);
        return {
            element: whole(chosen),
            values: () => chosen.value === '' ? [] : [chosen.value],
            focus: () => chosen.focus(),
        };
    };

    /** Today, or a month and a day. */
    const day = field => {
        const { texts, months, today } = field.vocabulary;
        const [, month = '01', date = ''] = DAY.exec(field.values[0] ?? '') ?? [];
        const changed = () => {
            rest.hidden = which.value === today;
            field.changed();
        };
        const which = select(field.label, changed, [[today, texts.today], ['', texts.aDay]],
                             field.values.length && field.values[0] !== today ? '' : today);
        const ofMonth = number(`${field.label}: ${texts.dayOfMonth}`, field.changed, +date || '', 31);
        const inMonth = select(`${field.label}: ${texts.month}`, field.changed, months, month);
        const rest = element('span', { className: 'rule-day', hidden: which.value === today },
                             ofMonth, inMonth);
        return {
            element: whole(which, rest),
            values: () => which.value === today ? [today]
                : ofMonth.value === '' ? []
                    : [`${inMonth.value}-${ofMonth.value.padStart(2, '0')}`],
            focus: () => which.focus(),
            problem: () => which.value !== today && !isWhole(ofMonth, 31) ? texts.noDay : '',
        };
    };

    /** Two instants. */
    const between = field => {
        const { texts } = field.vocabulary;
        const [first, second] = [texts.from, texts.until].map((label, at) => inputs.instant.make({
            ...field, label, values: field.values.slice(at, at + 1),
        }));
        const word = text => element('span', { className: 'rule-zone' }, text);
        return {
            element: whole(word(texts.from), first.element, word(texts.until), second.element),
            values: () => [...first.values(), ...second.values()],
            focus: () => first.focus(),
            problem: () => first.problem() || second.problem(),
        };
    };

    const alone = pattern => values => values.length < 2
        && values.every(value => typeof value === 'string' && pattern.test(value));
    Object.assign(inputs, {
        duration: { make: duration, shows: alone(DURATION) },
        count: { make: count, shows: values => values.length < 2 && values.every(Number.isInteger) },
        period: { make: period, shows: alone(/^(this|last)[A-Z][a-z]+$/) },
        day: { make: day, shows: alone(/^(today|\d\d-\d\d)$/) },
        between: {
            make: between,
            shows: values => [0, 2].includes(values.length)
                && values.every(value => inputs.instant.shows([value])),
        },
    });
}
