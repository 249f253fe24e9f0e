"""Conditions and moments as sentences in the page's language: attributes under their labels, dates
in the site's time zone.

Terminals and programs get the attribute's own name instead: see `segments.formatting.words`.
"""

from __future__ import annotations

import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from featureflags.contexts.attributes import CUSTOM_PREFIX, catalogue
from featureflags.core.times import to_datetime
from featureflags.kinds.snapshot import USER
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Clause, Rule
from featureflags.segments.formatting import MOST_LISTED, joined, options_in_words, show, shown_as
from featureflags.segments.member_json import parse_expiry
from featureflags.segments.operator_labels import ValueKind, label_for
from featureflags.segments.percentages import KEY, percent


def moment_in_words(moment: datetime.datetime | int) -> str:
    """A moment (aware, or µs) in the site's time zone, with the zone's name.

    Where the site's calendar ends before it: as it is. Never raises.
    """
    try:
        if isinstance(moment, int):
            moment = to_datetime(moment)
        text = formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    except (OverflowError, ValueError):
        return _("beyond the calendar") if isinstance(moment, int) else moment.isoformat(" ")
    return f"{text} ({timezone.get_current_timezone_name()})"


def label_of(attribute: str, kind: str = USER) -> str:
    """`Account age in days` for `account_age_days`, `plan` for `custom_plan`."""
    known = catalogue(kind).get(attribute)
    return attribute.removeprefix(CUSTOM_PREFIX) if known is None else str(known.label)


def condition_in_words(clause: Clause, kind: str = USER) -> str:
    """`plan is any of "pro" or "team"`, `E-mail verified is true`. Never raises.

    `kind`: that of the segment, for a clause that names none.
    """
    kind = clause.context_kind or kind
    info = label_for(clause.op, clause.values)
    label = clause.op if info is None else _(info.negated_label if clause.negate else info.label)
    whose = _("the user") if kind == USER else kind
    subject = whose if clause.op == SEGMENT_MATCH else label_of(clause.attribute, kind)
    if clause.op == EXISTS:
        return f"{subject} {label}"
    dates = {ValueKind.INSTANT, ValueKind.INSTANTS}
    is_date = info is not None and info.value_kind in dates
    show_one = _moment if is_date else shown_as(clause.op)
    values = joined(clause.values, show_one, between=clause.op == "between")
    return f"{subject} {label} {values or _('nothing')}{options_in_words(clause)}"


def rule_in_words(rule: Rule, kind: str = USER) -> str:
    """All conditions and the percentage: `plan is any of "pro", of these the first 10 % by User key`."""
    if not rule.clauses:
        return _("(no condition)")
    conditions = _(" and ").join(condition_in_words(clause, kind) for clause in rule.clauses)
    return ", ".join(filter(None, [conditions, share_in_words(rule, kind)]))


def share_in_words(rule: Rule, kind: str = USER) -> str:
    """The percentage of a rule; empty if it takes everybody who matches."""
    if rule.weight is None:
        return ""
    return _("of these the first %(percent)s %% by %(attribute)s") % {
        "percent": percent(rule.weight),
        "attribute": label_of(rule.bucket_by or KEY, rule.rollout_context_kind or kind),
    }


def share_change_in_words(old: Rule, new: Rule) -> list[str]:
    """What became of the percentage of a rule; empty if it stays."""
    before, after = share_in_words(old), share_in_words(new)
    if before == after:
        return []
    if not before or not after:
        text = _("added percentage: %s") if after else _("removed percentage: %s")
        return [text % (after or before)]
    return [_("changed percentage: %(old)s → %(new)s") % {"old": before, "new": after}]


def all_values(clause: Clause) -> tuple[str, ...]:
    """The values that a long list leaves out of `condition_in_words`: all of them, or none."""
    return tuple(map(show, clause.values)) if len(clause.values) > MOST_LISTED else ()


def _moment(value: object) -> str:
    instant = parse_expiry(value)
    return show(value) if instant is None else moment_in_words(instant)
