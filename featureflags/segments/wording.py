"""The operators in words, for the editor, the history, explanations and the command line.

Data only: what an operator does stands in ``operators``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ValueKind(StrEnum):
    """What the values of an operator are, so that a form can offer the right input."""

    ANY = "any"
    STRING = "string"
    REGEX = "regex"
    NUMBER = "number"
    INSTANT = "instant"
    SEMVER = "semver"
    SEGMENT = "segment"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInfo:
    """An operator in words; ``negated_label`` is what it says with ``negate`` set."""

    label: str
    negated_label: str
    value_kind: ValueKind


def _info(label: str, negated_label: str, value_kind: ValueKind) -> OperatorInfo:
    return OperatorInfo(label=label, negated_label=negated_label, value_kind=value_kind)


OPERATORS: Mapping[str, OperatorInfo] = {
    "in": _info("is any of", "is not any of", ValueKind.ANY),
    "startsWith": _info("starts with", "does not start with", ValueKind.STRING),
    "endsWith": _info("ends with", "does not end with", ValueKind.STRING),
    "contains": _info("contains", "does not contain", ValueKind.STRING),
    "matches": _info("matches the expression", "does not match the expression", ValueKind.REGEX),
    "lessThan": _info("is less than", "is not less than", ValueKind.NUMBER),
    "lessThanOrEqual": _info("is at most", "is not at most", ValueKind.NUMBER),
    "greaterThan": _info("is more than", "is not more than", ValueKind.NUMBER),
    "greaterThanOrEqual": _info("is at least", "is not at least", ValueKind.NUMBER),
    "before": _info("is before", "is not before", ValueKind.INSTANT),
    "after": _info("is after", "is not after", ValueKind.INSTANT),
    "semVerEqual": _info("is version", "is not version", ValueKind.SEMVER),
    "semVerLessThan": _info("is older than version", "is not older than version", ValueKind.SEMVER),
    "semVerGreaterThan": _info(
        "is newer than version", "is not newer than version", ValueKind.SEMVER
    ),
    "segmentMatch": _info("is in segment", "is not in segment", ValueKind.SEGMENT),
    "exists": _info("is known", "is not known", ValueKind.NOTHING),
}
"""Every operator that a rule may use: LaunchDarkly's, segmentMatch, and our own ``exists``."""
