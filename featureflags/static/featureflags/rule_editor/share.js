/* The editor of rules: the percentage that a rule takes of those who match. */
'use strict';
{
    const { element, button, option, fill } = guidon;
    /** Weights are thousandths of a per cent. */
    const WEIGHT = 1_000;
    const FIELDS = ['weight', 'bucketBy', 'rolloutContextKind'];

    /** The weight of a typed percentage; the text itself where it is none, which the server refuses. */
    const asWeight = text => {
        const percent = Number(text.trim().replace(',', '.'));
        const weight = Math.round(percent * WEIGHT);
        // Rounded it would be another percentage than the one that was typed.
        const isExact = Math.abs(percent * WEIGHT - weight) < 1e-6;
        return text.trim() !== '' && isExact && percent >= 0 && percent <= 100 ? weight : text;
    };
    const asText = weight => typeof weight === 'number' ? String(weight / WEIGHT) : String(weight);

    class Share {
        /** `raw`: the rule. `changed` is called after each change. */
        constructor(builder, raw, changed) {
            const { texts } = builder;
            this.builder = builder;
            this.raw = raw;
            this.isTouched = false;
            this.changed = () => {
                this.isTouched = true;
                changed();
            };
            this.add = button(`+ ${texts.addShare}`, { className: 'rule-link' });
            this.add.addEventListener('click', () => {
                this.show(true);
                this.changed();
                this.input.focus();
                this.input.select();
            });
            this.input = element('input', {
                type: 'text', inputMode: 'decimal', autocomplete: 'off', className: 'rule-percent',
                value: asText(raw.weight ?? 10 * WEIGHT),
            });
            this.input.addEventListener('input', this.changed);
            this.by = element('select', {}, ...this.choices());
            this.by.value = raw.bucketBy || this.builder.vocabulary.bucketKey;
            this.by.addEventListener('change', () => {
                this.note();
                this.changed();
            });
            this.close = button('×', { className: 'rule-close' });
            this.close.addEventListener('click', () => {
                this.show(false);
                this.changed();
                this.add.focus();
            });
            this.missing = element('p', { className: 'rule-note' });
            this.fields = element(
                'div', { className: 'rule-condition rule-share', role: 'group' },
                element('span', {}, texts.shareFirst), this.input,
                element('span', { 'aria-hidden': 'true' }, '%'),
                element('span', {}, texts.shareBy), this.by, this.close, this.missing);
            this.show((raw.weight ?? null) !== null);
            this.note();
        }

        get elements() {
            return [this.fields, this.add];
        }

        /** The attributes that stay the same for somebody; and the one of the rule, whatever it is. */
        choices() {
            const { attributes, metadata } = this.builder.vocabulary;
            const offered = [...attributes.filter(each => each.buckets), ...metadata]
                .map(({ name, label }) => [name, label]);
            const { bucketBy } = this.raw;
            if (bucketBy && !offered.some(([name]) => name === bucketBy)) {
                offered.push([bucketBy, bucketBy]);
            }
            return offered.map(([name, label]) => option(name, label));
        }

        show(isShown) {
            this.fields.hidden = !isShown;
            this.add.hidden = isShown;
        }

        /** Those who lack the attribute are in the first bucket, all of them. */
        note() {
            const { attributes, texts } = this.builder.vocabulary;
            const known = attributes.find(each => each.name === this.by.value);
            const label = this.by.selectedOptions[0]?.textContent ?? '';
            this.missing.textContent = known?.isAlwaysKnown
                ? '' : fill(texts.shareMissing, { attribute: label });
        }

        place(rule) {
            const { texts } = this.builder;
            const label = fill(texts.share, { rule });
            this.fields.setAttribute('aria-label', label);
            this.input.setAttribute('aria-label', `${label}: ${texts.sharePercent}`);
            this.by.setAttribute('aria-label', `${label}: ${texts.shareBy}`);
            const close = fill(texts.removeShare, { rule });
            this.close.setAttribute('aria-label', close);
            this.close.title = close;
            this.add.setAttribute('aria-label', `${texts.addShare} (${fill(texts.rule, { rule })})`);
        }

        /** Why it cannot be sent, in words; empty if it can. */
        problem() {
            const isFine = this.fields.hidden || !this.isTouched
                || typeof asWeight(this.input.value) === 'number';
            return isFine ? '' : this.builder.texts.noPercent;
        }

        /** The rule's JSON with what is shown here. */
        writeInto(rule) {
            if (!this.isTouched) {
                return rule;
            }
            if (this.fields.hidden) {
                return Object.fromEntries(
                    Object.entries(rule).filter(([name]) => !FIELDS.includes(name)));
            }
            const { bucketBy, ...rest } = rule;
            const isKey = this.by.value === this.builder.vocabulary.bucketKey;
            const by = isKey && !bucketBy ? {} : { bucketBy: this.by.value };
            return { ...rest, weight: asWeight(this.input.value), ...by };
        }
    }

    Object.assign(guidon, { Share });
}
