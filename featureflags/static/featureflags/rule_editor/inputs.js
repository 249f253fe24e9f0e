/* The editor of rules: inputs for the values of a condition.

   Each is made of a field `{values, label, takesOne, attribute, vocabulary, changed, announce}` and
   has `element`, `values()` as JSON, `focus()`, and `problem()`: why it must not be sent yet.
   Text that is not a chip yet counts as a value all the same, so that nothing happens when the
   focus leaves it: a layout that moves just then swallows the click that moved the focus. */
'use strict';
{
    const { element, option, fill, show, times, chips, asText, asNumber } = guidon;
    const noNumber = (field, read, values) => {
        const wrong = read === asNumber ? values.find(value => typeof value !== 'number') : undefined;
        return wrong === undefined ? '' : fill(field.vocabulary.texts.noNumber, { value: show(wrong) });
    };

    /** The values of a typed or pasted list. Quotes keep a comma: `"Doe, Ann", Bob`. */
    const split = text => {
        const parts = text.match(/"(?:[^"]|"")*"|[^,;\n\t]+/g) ?? [];
        return parts
            .map(part => part.trim())
            .map(part => /^".*"$/s.test(part) ? part.slice(1, -1).replaceAll('""', '"') : part)
            .filter(part => part !== '');
    };

    /** One value, of which more would say nothing more. */
    const single = (field, read) => {
        const input = element('input', {
            type: 'text', autocomplete: 'off', className: 'rule-value', 'aria-label': field.label,
            inputMode: read === asNumber ? 'decimal' : 'text',
            value: field.values.length ? String(field.values[0]) : '',
        });
        input.addEventListener('input', field.changed);
        const values = () => input.value.trim() === '' ? [] : [read(input.value.trim())];
        return {
            element: element('div', { className: 'rule-values' }, input),
            values,
            focus: () => input.focus(),
            problem: () => noNumber(field, read, values()),
        };
    };

    const oneOrChips = (field, read) => field.takesOne && field.values.length < 2
        ? single(field, read) : chips(field, { read, parts: split, problem: noNumber });

    const text = field => oneOrChips(field, asText);
    const number = field => oneOrChips(field, asNumber);

    const instant = field => {
        const { texts, zone } = field.vocabulary;
        const [value] = field.values;
        const shown = value === undefined ? { date: '', time: '00:00' }
            : times.toClock(zone, times.parseInstant(value));
        const date = element('input', {
            type: 'date', value: shown.date, 'aria-label': `${field.label}: ${texts.date}`,
            max: '9998-12-31',
        });
        const time = element('input', {
            type: 'time', value: shown.time, step: shown.time.length > 5 ? '1' : '60',
            'aria-label': `${field.label}: ${texts.time}`,
        });
        let isEdited = false;
        for (const input of [date, time]) {
            input.addEventListener('input', () => {
                isEdited = true;
                field.changed();
            });
        }
        return {
            element: element(
                'div', { className: 'rule-values' }, date, time,
                element('span', { className: 'rule-zone' }, fill(texts.zone, { zone })),
            ),
            // To the microsecond as it was, unless somebody has touched it.
            values: () => !isEdited ? field.values
                : date.value === '' ? [] : [times.fromClock(zone, date.value, time.value || '00:00')],
            focus: () => date.focus(),
            problem: () => date.validity.badInput || time.validity.badInput
                ? texts.unfinishedDate : '',
        };
    };

    const boolean = field => {
        const { texts } = field.vocabulary;
        const select = element(
            'select', { 'aria-label': field.label },
            option('', texts.choose), option('true', texts.true), option('false', texts.false),
        );
        select.value = field.values.length ? String(field.values[0]) : '';
        select.addEventListener('change', field.changed);
        return {
            element: element('div', { className: 'rule-values' }, select),
            values: () => select.value === '' ? [] : [select.value === 'true'],
            focus: () => select.focus(),
        };
    };

    const choice = field => {
        const known = field.attribute.choices;
        const others = field.values.filter(value => !known.some(([one]) => one === value));
        const boxes = [...known, ...others.map(value => [value, value])].map(([value, label]) => {
            const box = element('input', {
                type: 'checkbox', value, checked: field.values.includes(value),
            });
            box.addEventListener('change', field.changed);
            return [box, element('label', { className: 'rule-choice' }, box, ` ${label}`)];
        });
        return {
            element: element(
                'div', { className: 'rule-values', role: 'group', 'aria-label': field.label },
                ...boxes.map(([, label]) => label),
            ),
            values: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value),
            focus: () => boxes[0][0].focus(),
        };
    };

    /** Many segments: found as they are typed, by their key or name. */
    const foundSegment = field => {
        const made = chips(field, { read: asText, parts: split, problem: () => '' });
        made.element.querySelector('[list]').dataset.segments = field.vocabulary.segmentFinder;
        return made;
    };

    /** One list for each segment; a choice makes room for another one. */
    const listedSegment = field => {
        const { texts, segments } = field.vocabulary;
        const whole = element(
            'div', { className: 'rule-values', role: 'group', 'aria-label': field.label });
        const selects = [];
        const grow = key => {
            const isUnknown = key !== '' && !segments.some(each => each.key === key);
            const select = element(
                'select', { 'aria-label': `${field.label} ${selects.length + 1}` },
                option('', selects.length ? texts.addSegment : texts.choose),
                ...segments.map(each => option(each.key, each.label)),
                ...isUnknown ? [option(key, fill(texts.unknownSegment, { value: show(key) }))] : [],
            );
            select.value = key;
            select.addEventListener('change', () => {
                if (selects.at(-1).value !== '') {
                    grow('');
                }
                field.changed();
            });
            selects.push(select);
            whole.append(select);
        };
        [...field.values, ''].forEach(grow);
        return {
            element: whole,
            values: () => [...new Set(selects.map(select => select.value))].filter(key => key !== ''),
            focus: () => selects[0].focus(),
        };
    };

    const segment = field => field.vocabulary.segmentFinder ? foundSegment(field) : listedSegment(field);

    const nothing = () => ({
        element: element('div', { className: 'rule-values' }),
        values: () => [true],
        focus: () => {},
    });

    /** Metadata: values of any type, all of one. */
    const any = field => {
        const { texts } = field.vocabulary;
        const [first] = field.values;
        const isText = type => ['datetime', 'semver'].includes(type);
        const seen = [...new Set((field.attribute.types ?? []).map(
            type => isText(type) ? 'string' : type))];
        const kinds = { string: text, number, boolean };
        const type = element(
            'select', { className: 'rule-type', 'aria-label': texts.valueType, title: texts.valueType },
            option('string', texts.typeText), option('number', texts.typeNumber),
            option('boolean', texts.typeBoolean),
        );
        type.value = first !== undefined ? typeof first : seen[0] in kinds ? seen[0] : 'string';
        // Where all users have the same type, there is nothing to ask.
        type.hidden = seen.length === 1 && seen[0] === type.value;
        let inner = kinds[type.value](field);
        const whole = element('div', { className: 'rule-values' }, type, inner.element);
        type.addEventListener('change', () => {
            const typed = inner.values().map(String).map(type.value === 'number' ? asNumber : asText);
            const next = kinds[type.value]({ ...field, values: type.value === 'boolean' ? [] : typed });
            inner.element.replaceWith(next.element);
            inner = next;
            field.changed();
        });
        return {
            element: whole,
            values: () => inner.values(),
            focus: () => inner.focus(),
            problem: () => inner.problem?.() ?? '',
        };
    };

    const all = (values, type) => values.every(value => typeof value === type);
    const isTyped = value => ['number', 'string'].includes(typeof value);

    /** The inputs by their names in the vocabulary, and whether each can show these values. */
    guidon.inputs = {
        text: { make: text, shows: values => all(values, 'string') },
        expression: { make: text, shows: values => all(values, 'string') },
        number: { make: number, shows: values => values.every(isTyped) },
        instant: {
            make: instant,
            shows: values => values.length < 2 && values.every(
                value => times.parseInstant(value) !== null),
        },
        boolean: { make: boolean, shows: values => values.length < 2 && all(values, 'boolean') },
        choice: { make: choice, shows: values => all(values, 'string') },
        segment: { make: segment, shows: values => all(values, 'string') },
        nothing: { make: nothing, shows: values => values.length < 2 && values.every(v => v === true) },
        any: {
            make: any,
            shows: values => all(values, 'string') || all(values, 'number')
                || (values.length === 1 && all(values, 'boolean')),
        },
    };
}
