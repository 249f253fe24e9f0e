"""The values of one condition, from JSON: what suits its operator, copied; what does not, named."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from featureflags.core.i18n import gettext
from featureflags.core.json_numbers import normalised
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import EXISTS
from featureflags.segments.json_limits import json_problem, value_problem
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.values import parse_instant


def values_of(op: str, raw: object) -> tuple[tuple[JSONValue, ...], list[tuple[str, str]]]:
    """The values, empty unless all suit, and each problem as a code and words."""
    if raw is not None and not isinstance(raw, list | tuple):
        return (), [("wrong_type", gettext("the values must be a list"))]
    if not raw:
        return (), [("values_empty", gettext("add at least one value"))]
    info = OPERATORS.get(op)
    found = (
        json_problem(one) if info is None else value_problem(info.value_kind, one) for one in raw
    )
    problems = [("value", problem) for problem in found if problem is not None]
    suits = not problems
    if op == EXISTS and len(raw) > 1:
        problems.append(("value", gettext("the values must be [true]")))
    if op == "between" and suits and not _in_order(raw):
        problems.append(("value", gettext("the values must be two dates, the earlier one first")))
    # A value that JSON cannot hold may not be copied either: it may nest without end. Large whole floats become
    # integers, as in the metadata of users: PostgreSQL's jsonb gives them back in this form.
    return tuple(normalised(copy.deepcopy(value)) for value in raw) if suits else (), problems


def _in_order(values: Sequence[object]) -> bool:
    parsed = [found for value in values if (found := parse_instant(value)) is not None]
    return len(values) == 2 and parsed == sorted(set(parsed))
