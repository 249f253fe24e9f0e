/* The editor of rules: what its parts share. They are plain scripts, loaded in this order, without
   a build step; every text and every name of an attribute or operator comes with the page. */
'use strict';
window.guidon = {
    /** An element with properties or attributes, and children: elements and texts. */
    element(tag, properties = {}, ...children) {
        const made = document.createElement(tag);
        for (const [name, value] of Object.entries(properties)) {
            if (name.includes('-') || name === 'list') {
                made.setAttribute(name, value);
            } else {
                made[name] = value;
            }
        }
        made.append(...children);
        return made;
    },

    button(text, properties = {}) {
        return guidon.element('button', { type: 'button', ...properties }, text);
    },

    option(value, text) {
        return guidon.element('option', { value }, text);
    },

    /** A value as people read it, with nothing in it that cannot be seen; as `formatting.visible`. */
    visible(value) {
        return String(value).replace(
            /[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
            one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
    },

    /** The same in a sentence: as JSON, and isolated from what is around it. */
    show(value) {
        return `\u2068${guidon.visible(JSON.stringify(value))}\u2069`;
    },

    /** Show a fragment of our own templates, which escape all values, in `box`. The same again changes nothing,
        which screen readers would repeat; and the focus stays on the same link, or goes to `other`. */
    renew(box, html, other) {
        const made = document.createElement('div');
        made.innerHTML = html;
        if (made.innerHTML === box.innerHTML) {
            return;
        }
        const all = () => [...box.querySelectorAll('a, button, input, summary')];
        const at = all().indexOf(document.activeElement);
        box.replaceChildren(...made.childNodes);
        if (at >= 0) {
            (all()[at] ?? other).focus();
        }
    },

    /** A text of the vocabulary with its `%(name)s` filled in. */
    fill(text, values) {
        return text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
    },
};

/* Instants as people of the site read them. A browser is often elsewhere. */
{
    const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
    const MINUTE = 60_000;
    const DAY = 86_400_000;
    const two = number => String(number).padStart(2, '0');

    /** Milliseconds since the epoch of a clause's value, or null for what the form cannot show. */
    const parseInstant = value => {
        const isNumber = Number.isInteger(value);
        const milliseconds = isNumber ? value : RFC3339.test(value) ? Date.parse(value) : NaN;
        const year = new Date(milliseconds).getUTCFullYear();
        return year > 1 && year < 9999 ? milliseconds : null;
    };

    /** What clocks in a zone show then: the parts as numbers. */
    const clockIn = (zone, milliseconds) => {
        const format = new Intl.DateTimeFormat('en-US', {
            timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
            hour: 'numeric', minute: 'numeric', second: 'numeric',
        });
        const parts = format.formatToParts(milliseconds);
        return Object.fromEntries(parts.map(({ type, value }) => [type, Number(value)]));
    };

    /** `{date, time}` as inputs take them. */
    const toClock = (zone, milliseconds) => {
        const { year, month, day, hour, minute, second } = clockIn(zone, milliseconds);
        return {
            date: `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`,
            time: `${two(hour)}:${two(minute)}${second ? `:${two(second)}` : ''}`,
        };
    };

    const offsetAt = (zone, milliseconds) => {
        const { year, month, day, hour, minute, second } = clockIn(zone, milliseconds);
        return Date.UTC(year, month - 1, day, hour, minute, second) - milliseconds;
    };

    /** RFC 3339 of what clocks in a zone show, with the offset that holds there then. */
    const fromClock = (zone, date, time) => {
        const seconds = time.length === 5 ? `${time}:00` : time;
        const wanted = Date.parse(`${date}T${seconds}Z`);
        // Of an hour that comes twice the first; one that is left out by the clock before, as Python.
        const [before, after] = [wanted - DAY, wanted + DAY].map(at => offsetAt(zone, at));
        const offset = [before, after].find(each => offsetAt(zone, wanted - each) === each) ?? before;
        if (offset === 0) {
            return `${date}T${seconds}Z`;
        }
        if (offset % MINUTE) {
            // Before zones were made, by the sun.
            return new Date(wanted - offset).toISOString();
        }
        const minutes = Math.abs(offset) / MINUTE;
        const sign = offset < 0 ? '-' : '+';
        return `${date}T${seconds}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
    };

    guidon.times = { parseInstant, toClock, fromClock };
}
