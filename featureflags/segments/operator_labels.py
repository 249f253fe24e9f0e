"""The operators in words, for the editor, the history, explanations and the command line.

Data only: ``operators`` has what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from featureflags.core.i18n import gettext_noop as _


class ValueKind(StrEnum):
    """The kind of an operator's values: a form offers the matching input."""

    ANY = "any"
    STRING = "string"
    REGEX = "regex"
    NUMBER = "number"
    INSTANT = "instant"
    INSTANTS = "instants"
    """Two of them: from one until before the other."""
    DURATION = "duration"
    PERIOD = "period"
    DAY = "day"
    """A day of the year."""
    SEMVER = "semver"
    IP_RANGE = "ip range"
    COUNT = "count"
    """A number of entries."""
    SEGMENT = "segment"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInfo:
    """An operator in words; ``negated_label`` is for a clause with ``negate``."""

    label: str
    negated_label: str
    value_kind: ValueKind


def _info(label: str, negated_label: str, value_kind: ValueKind) -> OperatorInfo:
    return OperatorInfo(label=label, negated_label=negated_label, value_kind=value_kind)


OPERATORS: Mapping[str, OperatorInfo] = {
    "in": _info(_("is any of"), _("is not any of"), ValueKind.ANY),
    "startsWith": _info(_("starts with"), _("does not start with"), ValueKind.STRING),
    "endsWith": _info(_("ends with"), _("does not end with"), ValueKind.STRING),
    "contains": _info(_("contains"), _("does not contain"), ValueKind.STRING),
    "matches": _info(
        _("matches the expression"), _("does not match the expression"), ValueKind.REGEX
    ),
    "lessThan": _info(_("is less than"), _("is not less than"), ValueKind.NUMBER),
    "lessThanOrEqual": _info(_("is at most"), _("is not at most"), ValueKind.NUMBER),
    "greaterThan": _info(_("is more than"), _("is not more than"), ValueKind.NUMBER),
    "greaterThanOrEqual": _info(_("is at least"), _("is not at least"), ValueKind.NUMBER),
    "before": _info(_("is before"), _("is not before"), ValueKind.INSTANT),
    "after": _info(_("is after"), _("is not after"), ValueKind.INSTANT),
    "between": _info(_("is between"), _("is not between"), ValueKind.INSTANTS),
    "inLast": _info(_("is in the last"), _("is not in the last"), ValueKind.DURATION),
    "longerAgoThan": _info(
        _("is longer ago than"), _("is not longer ago than"), ValueKind.DURATION
    ),
    "inNext": _info(_("is in the next"), _("is not in the next"), ValueKind.DURATION),
    "within": _info(_("is within"), _("is not within"), ValueKind.PERIOD),
    "onDayOfYear": _info(
        _("is on the same day of the year as"),
        _("is not on the same day of the year as"),
        ValueKind.DAY,
    ),
    "semVerEqual": _info(_("is version"), _("is not version"), ValueKind.SEMVER),
    "semVerLessThan": _info(
        _("is older than version"), _("is not older than version"), ValueKind.SEMVER
    ),
    "semVerGreaterThan": _info(
        _("is newer than version"), _("is not newer than version"), ValueKind.SEMVER
    ),
    "semVerGreaterThanOrEqual": _info(
        _("is at least version"), _("is not at least version"), ValueKind.SEMVER
    ),
    "semVerLessThanOrEqual": _info(
        _("is at most version"), _("is not at most version"), ValueKind.SEMVER
    ),
    "ipInRange": _info(_("is in the IP range"), _("is not in the IP range"), ValueKind.IP_RANGE),
    "hasAtLeast": _info(_("has at least"), _("does not have at least"), ValueKind.COUNT),
    "hasAtMost": _info(_("has at most"), _("does not have at most"), ValueKind.COUNT),
    "segmentMatch": _info(_("is in segment"), _("is not in segment"), ValueKind.SEGMENT),
    "exists": _info(_("is known"), _("is not known"), ValueKind.NOTHING),
}
"""Every operator that a rule may use: LaunchDarkly's, segmentMatch, and our own."""

IS = _info(_("is"), _("is not"), ValueKind.ANY)
"""``in`` with a single boolean, where “any of” would sound odd."""


def label_for(op: str, values: Sequence[object]) -> OperatorInfo | None:
    """The words of an operator with these values; None if it is unknown."""
    is_boolean = op == "in" and len(values) == 1 and isinstance(values[0], bool)
    return IS if is_boolean else OPERATORS.get(op)


LAUNCHDARKLY = frozenset(
    {"in", "startsWith", "endsWith", "contains", "matches"}
    | {"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "before", "after"}
    | {"semVerEqual", "semVerLessThan", "semVerGreaterThan"}
)
"""The operators on values that LaunchDarkly has too; all others but ``segmentMatch`` are our own."""

IGNORES_CASE = frozenset({"in", "startsWith", "endsWith", "contains", "matches"})
"""The operators that a clause may ask to ignore case."""

ONE_VALUE = frozenset(
    {"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "before", "after"}
    | {"semVerLessThan", "semVerGreaterThan", "semVerLessThanOrEqual", "semVerGreaterThanOrEqual"}
    | {"hasAtLeast", "hasAtMost", "inLast", "inNext", "longerAgoThan"}
)
"""Operators for which one value is enough: of several, the widest decides."""
