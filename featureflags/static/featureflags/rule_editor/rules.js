/* The editor of rules: one rule, a card with its conditions. */
'use strict';
{
    const { element, button, fill, Part, Condition, Share, parts } = guidon;
    const NEW_CONDITION = { attribute: '', op: '', values: [], negate: false };

    class Rule extends Part {
        constructor(builder, raw) {
            super(builder);
            const { texts } = builder;
            this.raw = raw;
            this.or = element('span', { className: 'rule-or' }, texts.or);
            this.title = element('h3', { className: 'rule-title' });
            this.description = element('input', {
                type: 'text', className: 'rule-description', autocomplete: 'off',
                value: raw.description ?? '', placeholder: texts.ruleDescription,
                'aria-label': texts.ruleDescription,
            });
            this.description.addEventListener('input', () => builder.changed());
            this.up = button('↑', { className: 'rule-tool' });
            this.down = button('↓', { className: 'rule-tool' });
            this.copy = button(texts.duplicateRule, { className: 'rule-tool' });
            this.close = button(texts.removeRule, { className: 'rule-tool' });
            this.up.addEventListener('click', () => builder.move(this, -1, this.up));
            this.down.addEventListener('click', () => builder.move(this, 1, this.down));
            this.copy.addEventListener('click', () => builder.duplicate(this));
            this.close.addEventListener('click', () => this.remove(texts.ruleRemoved));
            this.list = element('div', { className: 'rule-conditions' });
            this.empty = element('p', { className: 'rule-note' }, texts.noConditions);
            this.add = button(`+ ${texts.addCondition}`, { className: 'rule-link' });
            this.add.addEventListener('click', () => this.append(NEW_CONDITION).focus());
            this.share = new Share(builder, raw, () => {
                this.show([]);
                builder.changed();
            });
            const tools = [this.up, this.down, this.copy, this.close];
            this.element = element(
                'section', { className: 'rule', role: 'group' }, this.or,
                element(
                    'div', { className: 'rule-card' },
                    element('div', { className: 'rule-head' }, this.title, this.description,
                            element('div', { className: 'rule-tools' }, ...tools)),
                    this.errors, this.list, this.empty, this.add, ...this.share.elements,
                ),
            );
            parts.set(this.element, this);
            (raw.clauses ?? []).forEach(clause => this.list.append(
                new Condition(builder, clause).element));
        }

        /** A new rule with one empty condition. */
        static blank(builder) {
            return new Rule(builder, { clauses: [NEW_CONDITION] });
        }

        get conditions() {
            return [...this.list.children].map(child => parts.get(child)).filter(Boolean);
        }

        append(raw) {
            const made = new Condition(this.builder, raw);
            made.isTouched = true;
            this.list.append(made.element);
            this.builder.changed();
            return made;
        }

        place(rule, isLast) {
            const { texts } = this.builder;
            this.element.id = `rule-${rule}`;
            this.title.textContent = fill(texts.rule, { rule });
            this.element.setAttribute('aria-label', this.title.textContent);
            this.or.hidden = rule === 1;
            this.up.disabled = rule === 1;
            this.down.disabled = isLast;
            const labels = [[this.up, texts.moveUp], [this.down, texts.moveDown],
                            [this.copy, texts.duplicateRuleLabel], [this.close, texts.removeRuleLabel]];
            for (const [tool, text] of labels) {
                tool.setAttribute('aria-label', fill(text, { rule }));
                tool.title = fill(text, { rule });
            }
            const { conditions } = this;
            conditions.forEach((condition, at) => condition.place(rule, at + 1));
            this.share.place(rule);
            this.empty.hidden = conditions.length > 0;
        }

        focus() {
            (this.conditions[0] ?? this.add).focus?.();
        }

        value() {
            const description = this.description.value;
            const changed = description === (this.raw.description ?? '') ? {} : { description };
            const clauses = this.conditions.map(each => each.value());
            return this.share.writeInto({ ...this.raw, ...changed, clauses });
        }
    }

    Object.assign(guidon, { Rule });
}
