/* The editor of rules: several values, each a chip, and the one that is being typed. */
'use strict';
{
    const { element, button, option, fill, show, visible } = guidon;
    const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
    /** Chips that are drawn. A longer list is folded: a search finds the others. */
    const SHOWN = 60;
    let lists = 0;

    const asText = text => text;
    /** A number, or the text as it was typed: also one that no double can hold. */
    const asNumber = text => NUMBER.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;

    const datalist = suggestions => {
        lists += 1;
        const id = `rule-suggestions-${lists}`;
        return element('datalist', { id }, ...suggestions.map(value => option(value, '')));
    };

    /** What finds and removes values of a long list. */
    const toolbar = texts => {
        const search = element('input', {
            type: 'search', autocomplete: 'off', placeholder: texts.findValue,
            'aria-label': texts.findValue,
        });
        const count = element('span', { className: 'rule-note' });
        const all = button(texts.removeAll, { className: 'rule-link' });
        return { search, count, all, element: element(
            'div', { className: 'rule-many', hidden: true }, search, count, all) };
    };

    const chips = (field, { read, parts, problem }) => {
        const { texts } = field.vocabulary;
        // By their JSON: 1 is not "1".
        const found = new Map(field.values.map(value => [JSON.stringify(value), value]));
        const list = element('ul', { className: 'rule-chips', 'aria-label': texts.chosen });
        const tools = toolbar(texts);
        const suggested = datalist(field.attribute.suggestions ?? []);
        const input = element('input', {
            type: 'text', autocomplete: 'off', placeholder: texts.addValue,
            list: suggested.id, 'aria-label': field.label,
        });
        const whole = element(
            'div', { className: 'rule-values rule-box' }, tools.element, list, input, suggested);

        const remove = (key, value) => {
            found.delete(key);
            draw();
            input.focus();
            field.announce(fill(texts.valueRemoved, { value: show(value) }));
            field.changed();
        };
        const chip = ([key, value]) => {
            const isWrong = read === asNumber && typeof value !== 'number';
            const label = fill(texts.removeValue, { value: visible(value) });
            const close = button('×', { 'aria-label': label, title: label });
            close.addEventListener('click', () => remove(key, value));
            return element(
                'li', { className: isWrong ? 'rule-chip rule-chip-wrong' : 'rule-chip' },
                element('bdi', {}, visible(value)), close,
            );
        };
        const draw = () => {
            const isMany = found.size > SHOWN;
            const wanted = isMany ? tools.search.value.trim().toLowerCase() : '';
            const matching = wanted === '' ? [...found] : [...found].filter(
                ([, value]) => String(value).toLowerCase().includes(wanted));
            const more = matching.length - SHOWN;
            list.replaceChildren(...matching.slice(0, SHOWN).map(chip));
            if (more > 0) {
                list.append(element(
                    'li', { className: 'rule-note' },
                    fill(texts.moreValues, { count: more.toLocaleString() })));
            }
            tools.count.textContent = fill(texts.countValues, { count: found.size.toLocaleString() });
            tools.element.hidden = !isMany;
            whole.classList.toggle('rule-folded', isMany);
        };
        const add = text => {
            const values = parts(text).map(read);
            const before = found.size;
            for (const value of values) {
                found.set(JSON.stringify(value), value);
            }
            const added = found.size - before;
            if (values.length === 1 && added === 0) {
                field.announce(fill(texts.valueThere, { value: show(values[0]) }));
            } else if (values.length > 1) {
                const there = (values.length - added).toLocaleString();
                field.announce(fill(texts.valuesAdded, { count: added.toLocaleString(), there }));
            }
            input.value = '';
            draw();
            field.changed();
        };
        tools.search.addEventListener('input', draw);
        tools.all.addEventListener('click', () => {
            const kept = [...found];
            found.clear();
            draw();
            const undo = button(texts.undo, { className: 'rule-link' });
            const line = element('li', { className: 'rule-note' }, texts.allRemoved, ' ', undo);
            undo.addEventListener('click', () => {
                kept.forEach(([key, value]) => found.set(key, value));
                draw();
                input.focus();
                field.changed();
            });
            list.append(line);
            undo.focus();
            field.changed();
        });
        input.addEventListener('keydown', event => {
            if (event.key === 'Enter' || (event.key === ',' && !input.value.startsWith('"')
                                          && parts(',').length === 0)) {
                event.preventDefault();
                add(input.value);
            } else if (event.key === 'Backspace' && input.value === '' && found.size) {
                event.preventDefault();
                remove(...[...found].at(-1));
            }
        });
        input.addEventListener('paste', event => {
            const pasted = event.clipboardData.getData('text');
            if (parts(pasted).length > 1) {
                event.preventDefault();
                add(input.value + pasted);
            }
        });
        input.addEventListener('input', field.changed);
        draw();
        const values = () => {
            const typed = parts(input.value).map(read).map(value => [JSON.stringify(value), value]);
            return [...new Map([...found, ...typed]).values()];
        };
        return {
            element: whole,
            values,
            focus: () => input.focus(),
            problem: () => problem(field, read, values()),
        };
    };

    Object.assign(guidon, { chips, asText, asNumber });
}
