/* The editor of rules: <rule-builder>, around the text area of the one field that is saved. */
'use strict';
{
    const { element, button, option, fill, isObject, Rule, parts } = guidon;
    /** Characters of JSON from which on it is not laid out in lines: it is sent at each preview. */
    const LONG = 100_000;

    class RuleBuilder extends HTMLElement {
        connectedCallback() {
            // If this script runs before the element is complete, its children are not parsed yet.
            if (document.readyState === 'loading') {
                document.addEventListener('DOMContentLoaded', () => this.start(), { once: true });
            } else {
                this.start();
            }
        }

        start() {
            if (this.list) {
                return;
            }
            this.area = this.querySelector('textarea');
            this.vocabulary = JSON.parse(document.getElementById('rules-vocabulary').textContent);
            this.texts = this.vocabulary.texts;
            this.build();
            if (this.read()) {
                this.place(JSON.parse(document.getElementById('rules-problems').textContent));
                this.write();
            } else {
                this.showJson(true);
            }
            this.toggleAttribute('ready', true);
            this.dispatchEvent(new CustomEvent('rules:ready', { bubbles: true }));
        }

        build() {
            const { texts } = this;
            this.list = element('div', { className: 'rule-list' });
            this.empty = element('p', { className: 'rule-empty' }, texts.noRules);
            this.status = element('p', { className: 'rule-status', role: 'status' });
            this.errors = element('p', { className: 'rule-refusal', role: 'alert' });
            const add = button(`+ ${texts.addRule}`, { className: 'rule-add' });
            add.addEventListener('click', () => {
                const rule = Rule.blank(this);
                this.list.append(rule.element);
                this.changed();
                rule.focus();
            });
            this.toJson = button(texts.editAsJson, { className: 'rule-link' });
            this.toJson.addEventListener('click', () => {
                this.write();
                this.showJson(true);
                this.area.focus();
            });
            this.toForm = button(texts.backToForm, { className: 'rule-link' });
            this.toForm.addEventListener('click', () => {
                if (this.read()) {
                    this.showJson(false);
                    this.changed();
                    this.toJson.focus();
                } else {
                    this.errors.textContent = texts.notRules;
                }
            });
            const help = element(
                'p', { className: 'rule-help' }, `${texts.valuesHelp} ${texts.moveHint}`);
            this.form = element(
                'div', { className: 'rule-form', role: 'group', 'aria-label': texts.rules },
                this.empty, this.list,
                element('div', { className: 'rule-foot' }, add, this.toJson), help);
            this.append(this.form, this.toForm, this.errors, this.status);
            this.area.setAttribute('aria-label', texts.rules);
            this.area.addEventListener('input', () => this.notify());
            this.addEventListener('keydown', event => this.keyPressed(event));
            this.area.form.addEventListener('submit', event => this.submitted(event));
        }

        /** Whether the form shows the rules, rather than the text area. */
        get isForm() {
            return !this.form.hidden;
        }

        showJson(isJson) {
            this.form.hidden = isJson;
            this.area.hidden = !isJson;
            this.toForm.hidden = !isJson;
            this.errors.textContent = '';
        }

        /** Build the form from the text; false if the text is not a list of rules. */
        read() {
            let raw;
            try {
                raw = JSON.parse(this.area.value.trim() || '[]');
            } catch {
                return false;
            }
            const isRule = rule => isObject(rule) && Array.isArray(rule.clauses ?? [])
                && typeof (rule.description ?? '') === 'string';
            if (!Array.isArray(raw) || !raw.every(isRule)) {
                return false;
            }
            this.list.replaceChildren(...raw.map(rule => new Rule(this, rule).element));
            this.number();
            this.showJson(false);
            return true;
        }

        /** Show the text as it is now: something else than the form has changed it. */
        reload() {
            if (!this.read()) {
                this.showJson(true);
            }
            this.notify();
        }

        /** Write what the form says into the text that is saved. */
        write() {
            if (this.isForm) {
                const rules = this.rules.map(rule => rule.value());
                const short = JSON.stringify(rules);
                this.area.value = short.length > LONG ? short : JSON.stringify(rules, null, 2);
            }
        }

        get rules() {
            return [...this.list.children].map(child => parts.get(child)).filter(Boolean);
        }

        number() {
            const { rules } = this;
            rules.forEach((rule, at) => rule.place(at + 1, at + 1 === rules.length));
            this.empty.hidden = rules.length > 0;
        }

        changed() {
            this.number();
            this.write();
            this.notify();
        }

        notify() {
            this.dispatchEvent(new CustomEvent('rules:changed', { bubbles: true }));
        }

        announce(text) {
            this.status.textContent = text;
        }

        /** Problems to their places: `{rule, clause, message}`, counted from 1. */
        place(problems) {
            const places = new Map();
            for (const { rule, clause, message } of problems) {
                const found = this.rules[rule - 1];
                const part = found?.conditions[clause - 1] ?? found;
                if (part) {
                    places.set(part, [...places.get(part) ?? [], message]);
                }
            }
            places.forEach((messages, part) => part.show(messages));
        }

        /** Everything that is marked as wrong: `{element, text}`, in the order of the page. */
        get wrong() {
            const all = this.isForm ? this.rules.flatMap(rule => [rule, ...rule.conditions]) : [];
            return all.flatMap(part => part.problems.map(message => ({
                part, text: `${part.element.getAttribute('aria-label')}: ${message}`,
            })));
        }

        submitted(event) {
            this.write();
            if (!this.isForm || event.submitter?.formNoValidate) {
                return;
            }
            const conditions = this.rules.flatMap(rule => rule.conditions);
            const unfinished = conditions.filter(condition => condition.problem() !== '');
            unfinished.forEach(condition => condition.show([condition.problem()]));
            const shares = this.rules.filter(rule => rule.share.problem() !== '');
            shares.forEach(rule => rule.show([rule.share.problem()]));
            if (unfinished.length || shares.length) {
                event.preventDefault();
                (unfinished[0] ?? shares[0].share).input.focus();
                this.dispatchEvent(new CustomEvent('rules:refused', { bubbles: true }));
            }
        }

        keyPressed(event) {
            if (event.key === 'Enter' && event.target.matches('input')) {
                // Enter ends a value; it must not save the form.
                event.preventDefault();
            }
            const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
            if (step && event.altKey && this.isForm) {
                const inside = event.target.closest('.rule-condition') ?? event.target.closest('.rule');
                const part = inside && parts.get(inside);
                if (part) {
                    event.preventDefault();
                    this.move(part, step, event.target);
                }
            }
        }

        /** Past its neighbour that is not removed. The focus stays where it was. */
        move(part, step, focused) {
            const siblings = [...part.element.parentElement.children].filter(each => parts.has(each));
            const other = siblings[siblings.indexOf(part.element) + step];
            if (!other) {
                return;
            }
            other[step < 0 ? 'before' : 'after'](part.element);
            this.changed();
            const place = part.element.getAttribute('aria-label');
            (focused.disabled ? part.element.querySelector('.rule-tool:enabled') : focused).focus();
            this.announce(fill(this.texts.moved, { place }));
        }

        duplicate(rule) {
            const copy = structuredClone(rule.value());
            // An identifier names one rule.
            delete copy.id;
            const made = new Rule(this, copy);
            rule.element.after(made.element);
            this.changed();
            made.focus();
        }

        /** A new list of all attributes, grouped. */
        attributeSelect() {
            const { vocabulary, texts } = this;
            const group = (label, ...options) => element('optgroup', { label }, ...options);
            const options = list => list.map(({ name, label }) => option(name, label));
            return element(
                'select', { className: 'rule-attribute', 'aria-label': texts.attribute },
                option('', texts.chooseAttribute),
                group(texts.groupUser, option(vocabulary.segmentMatch, texts.inSegment),
                      ...options(vocabulary.attributes)),
                group(texts.groupMetadata, ...options(vocabulary.metadata),
                      option(vocabulary.customPrefix, texts.otherMetadata)),
            );
        }
    }

    customElements.define('rule-builder', RuleBuilder);
}
