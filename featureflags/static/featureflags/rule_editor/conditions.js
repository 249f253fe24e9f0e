/* The editor of rules: one condition, as a sentence of an attribute, a comparison and values. */
'use strict';
{
    const { element, button, option, fill, inputs, options, find, inputsOf, canShow } = guidon;
    const ONE = new Set(['instant', 'boolean', 'period', 'day', 'count']);

    class Part {
        /** What a condition and a rule share: their place, their problems, and their removal. */
        constructor(builder) {
            this.builder = builder;
            this.errors = element('ul', { className: 'errorlist', hidden: true });
        }

        show(problems) {
            this.errors.replaceChildren(...problems.map(text => element('li', {}, text)));
            this.errors.hidden = problems.length === 0;
            this.element.classList.toggle('rule-wrong', problems.length > 0);
        }

        get problems() {
            return [...this.errors.children].map(item => item.textContent);
        }

        /** Leaves a line in its place that brings it back. */
        remove(text) {
            const undo = button(this.builder.texts.undo, { className: 'rule-link' });
            const line = element('p', { className: 'rule-removed' }, text, ' ', undo);
            undo.addEventListener('click', () => {
                line.replaceWith(this.element);
                this.builder.changed();
                this.focus();
            });
            this.element.replaceWith(line);
            this.builder.changed();
            undo.focus();
        }
    }

    class Condition extends Part {
        constructor(builder, raw) {
            super(builder);
            this.raw = raw;
            this.isTouched = false;
            this.word = element('span', { className: 'rule-word' });
            this.close = button('×', { className: 'rule-close' });
            this.close.addEventListener('click', () => this.remove(builder.texts.conditionRemoved));
            this.element = element('div', { className: 'rule-condition', role: 'group' }, this.word);
            this.isShown = canShow(builder.vocabulary, raw);
            this.element.append(...this.isShown ? this.fields() : this.json(), this.close, this.errors);
            guidon.parts.set(this.element, this);
        }

        json() {
            const { texts } = this.builder;
            const text = JSON.stringify(this.raw, null, 1).replace(/\n\s*/g, ' ');
            return [element(
                'div', { className: 'rule-json' },
                element('pre', { tabIndex: 0, 'aria-label': texts.conditionJson, role: 'group' }, text),
                element('p', { className: 'rule-note' }, texts.asJson),
            )];
        }

        fields() {
            const { vocabulary, texts } = this.builder;
            const { attribute = '', op = '', values = [], negate = false } = this.raw;
            this.select = this.builder.attributeSelect();
            this.key = element('input', {
                type: 'text', autocomplete: 'off', className: 'rule-key', 'aria-label': texts.metadataKey,
                placeholder: texts.metadataKey,
            });
            this.operator = element('select', { 'aria-label': texts.operator });
            this.note = element('p', { className: 'rule-note' });
            this.options = options(texts, this.raw, () => this.optionChosen());
            this.input = inputs.nothing.make();
            this.kept = new Map();
            const isListed = [...this.select.options].some(each => each.value === attribute);
            if (op === vocabulary.segmentMatch) {
                this.select.value = op;
            } else if (isListed) {
                this.select.value = attribute;
            } else {
                this.select.value = vocabulary.customPrefix;
                this.key.value = attribute.slice(vocabulary.customPrefix.length);
            }
            this.offer(op, negate);
            this.ask(values);
            this.select.addEventListener('change', () => this.attributeChosen());
            this.key.addEventListener('input', () => this.attributeChosen());
            this.operator.addEventListener('change', () => this.operatorChosen());
            return [this.select, this.key, this.operator, this.input.element,
                    ...this.options.elements, this.note];
        }

        get attributeName() {
            const { customPrefix, segmentMatch } = this.builder.vocabulary;
            const chosen = this.select.value;
            if (chosen === segmentMatch) {
                return '';
            }
            // The full name may be typed too.
            const key = this.key.value.trim();
            const isFull = key.startsWith(customPrefix);
            return chosen !== customPrefix ? chosen : key === '' || isFull ? key : customPrefix + key;
        }

        get attribute() {
            const { segmentMatch, anyType: type, texts } = this.builder.vocabulary;
            if (this.select.value === segmentMatch) {
                return { label: texts.theUser, choices: [] };
            }
            const known = find(this.builder.vocabulary, this.attributeName);
            return known ?? { label: '', choices: [], type };
        }

        get offered() {
            const { segmentMatch } = this.builder.vocabulary;
            return this.select.value === segmentMatch ? { [segmentMatch]: 'segment' }
                : inputsOf(this.builder.vocabulary, this.attribute);
        }

        get isNegated() {
            return this.operator.value.startsWith('!');
        }

        get op() {
            return this.operator.value.replace('!', '');
        }

        /** Offer the operators of the attribute; the one that was chosen stays, if it is offered. */
        offer(op, negate) {
            const { operators, booleanLabels, customPrefix } = this.builder.vocabulary;
            const isChosen = this.select.value !== '';
            this.key.hidden = this.select.value !== customPrefix;
            this.operator.hidden = !isChosen;
            const offered = isChosen ? this.offered : {};
            const ops = Object.keys(offered);
            this.operator.replaceChildren(...ops.flatMap(each => {
                const words = offered[each] === 'boolean' ? booleanLabels : operators[each];
                return [option(each, words.label), option(`!${each}`, words.negated)];
            }));
            const wanted = ops.includes(op) ? op : ops[0];
            this.operator.value = isChosen ? `${negate ? '!' : ''}${wanted}` : '';
        }

        /** Ask for values in the way of the operator. */
        ask(values) {
            const { vocabulary, texts } = this.builder;
            const { attribute, op } = this;
            const name = this.select.value === '' ? 'nothing' : this.offered[op];
            const takesOne = vocabulary.operators[op]?.takesOne ?? false;
            const made = inputs[name].make({
                values: inputs[name].shows(values) ? values : [],
                label: takesOne || ONE.has(name) ? texts.value : texts.values,
                takesOne, attribute, vocabulary,
                ignoresCase: () => this.options.isTicked('ignoreCase'), changed: () => this.changed(),
                announce: text => this.builder.announce(text),
            });
            this.input.element.replaceWith(made.element);
            this.input = made;
            this.asked = `${name} ${takesOne} ${attribute.name ?? ''}`;
            this.inputName = name;
            this.showNote();
        }

        /** With a negation: a user who lacks the attribute does not match. */
        showNote() {
            const { texts, vocabulary } = this.builder;
            const isMissed = this.isNegated && this.op !== vocabulary.segmentMatch
                && this.inputName !== 'nothing' && !this.attribute.isAlwaysKnown;
            const ignoreCase = ['text', 'expression', 'any'].includes(this.inputName)
                && !this.attribute.isLowerCase && vocabulary.operators[this.op].ignoresCase;
            this.options.offer({ ignoreCase, orMissing: isMissed }, this.attribute.label);
            this.note.textContent = isMissed && !this.options.isTicked('orMissing')
                ? fill(texts.missing, { attribute: this.attribute.label }) : '';
        }

        optionChosen() {
            this.showNote();
            this.input.optionChanged?.();
            this.changed();
        }

        attributeChosen() {
            const { op, isNegated } = this;
            this.offer(op, isNegated);
            this.operatorChosen();
        }

        operatorChosen() {
            // The focus is in a list: what is asked next is made anew, never the list itself.
            const before = this.inputName;
            this.kept.set(before, this.input.values());
            const name = this.select.value === '' ? 'nothing' : this.offered[this.op];
            const takesOne = this.builder.vocabulary.operators[this.op]?.takesOne ?? false;
            if (this.asked !== `${name} ${takesOne} ${this.attribute.name ?? ''}`) {
                const typed = this.kept.get(before);
                const isFit = before !== 'nothing' && inputs[name].shows(typed);
                this.ask(isFit ? typed : this.kept.get(name) ?? []);
            }
            this.showNote();
            this.changed();
        }

        changed() {
            this.isTouched = true;
            this.show([]);
            this.builder.changed();
        }

        /** Why it cannot be sent, in words; empty if it can. */
        problem() {
            return this.isShown ? this.input.problem?.() ?? '' : '';
        }

        place(rule, condition) {
            const { texts } = this.builder;
            const label = fill(texts.condition, { rule, condition });
            this.element.setAttribute('aria-label', label);
            this.element.id = `rule-${rule}-condition-${condition}`;
            this.word.textContent = condition === 1 ? texts.if : texts.and;
            const close = fill(texts.removeCondition, { rule, condition });
            this.close.setAttribute('aria-label', close);
            this.close.title = close;
        }

        focus() {
            (this.isShown ? this.select : this.close).focus();
        }

        /** The clause; exactly as it was if the user has not touched it. */
        value() {
            if (!this.isTouched) {
                return this.raw;
            }
            const isChosen = this.select.value !== '';
            const { ignoreCase, orMissing, ...raw } = this.raw;
            return {
                ...raw,
                attribute: this.attributeName,
                op: isChosen ? this.op : '',
                values: isChosen ? this.input.values() : [],
                negate: isChosen && this.isNegated,
                ...isChosen ? this.options.value() : {},
            };
        }
    }

    /** The part that an element belongs to. */
    guidon.parts = new WeakMap();
    Object.assign(guidon, { Part, Condition });
}
