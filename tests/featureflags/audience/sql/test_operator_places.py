"""An operator has four places. One that lacks any of them fails here, by name.

1. `featureflags/segments/operators.py` (`moving_dates.py` if now counts): what it does.
2. `featureflags/segments/operator_labels.py`: its words.
3. `featureflags/segments/attribute_types.py`: the attributes that it fits.
4. `featureflags/audience/sql/`: the same in SQL (text in `text_clauses.py`, JSON in `json_values.py`).
"""

from __future__ import annotations

import pytest

from featureflags.core.times import now_in_microseconds, to_rfc3339
from featureflags.core.types import JSONValue
from featureflags.segments.attribute_types import OPERATORS_BY_TYPE, AttributeType
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH
from featureflags.segments.moving_dates import WINDOWS, any_holds
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.operators import LENGTH_TESTS, VALUE_TESTS
from featureflags.segments.parsing import parse_definition
from tests.factories import UserFactory
from users.models import User

SOON = to_rfc3339(now_in_microseconds() - 60_000_000)
MATCHES: dict[str, tuple[JSONValue, list[JSONValue]]] = {
    "in": ("blue", ["blue"]),
    "startsWith": ("blue", ["bl"]),
    "endsWith": ("blue", ["ue"]),
    "contains": ("blue", ["lu"]),
    "matches": ("blue", ["^b.u"]),
    "lessThan": (1, [2]),
    "lessThanOrEqual": (2, [2]),
    "greaterThan": (3, [2]),
    "greaterThanOrEqual": (2, [2]),
    "before": ("2025-01-01T00:00:00Z", ["2026-01-01T00:00:00Z"]),
    "after": ("2027-01-01T00:00:00Z", ["2026-01-01T00:00:00Z"]),
    "between": ("2026-01-05T00:00:00Z", ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
    "inLast": (SOON, ["P9000Y"]),
    "inNext": ("9998-01-01T00:00:00Z", ["P9000Y"]),
    "longerAgoThan": ("2000-01-01T00:00:00Z", ["P10Y"]),
    "within": (SOON, ["thisYear", "lastYear"]),
    "onDayOfYear": ("1990-12-24T12:00:00Z", ["12-24"]),
    "semVerEqual": ("2.0.0", ["2"]),
    "semVerLessThan": ("1.9.0", ["2"]),
    "semVerGreaterThan": ("2.1.0", ["2"]),
    "semVerLessThanOrEqual": ("2.0.0", ["2"]),
    "semVerGreaterThanOrEqual": ("2.0.0", ["2"]),
    "ipInRange": ("10.1.2.3", ["10.0.0.0/8"]),
    "hasAtLeast": (["a", "b"], [2]),
    "hasAtMost": ([], [0]),
}
"""For each operator a value of an attribute that it matches, and its own values."""

BY_ITSELF = {EXISTS, SEGMENT_MATCH}
"""These do not test a value."""


def test_every_operator_has_a_function_a_label_and_a_type() -> None:
    offered = {op for ops in OPERATORS_BY_TYPE.values() for op in ops}
    assert {*VALUE_TESTS, *WINDOWS, *LENGTH_TESTS} == set(OPERATORS) - BY_ITSELF
    assert offered == set(OPERATORS) - {SEGMENT_MATCH}
    assert set(MATCHES) == {*VALUE_TESTS, *WINDOWS, *LENGTH_TESTS}, (
        "add the new operator to MATCHES"
    )


@pytest.mark.django_db
@pytest.mark.parametrize("op", MATCHES)
def test_memory_and_sql_both_find_who_matches(op: str) -> None:
    value, values = MATCHES[op]
    if op in WINDOWS:
        assert any_holds(WINDOWS[op](values), value, now_in_microseconds())
    else:
        assert {**VALUE_TESTS, **LENGTH_TESTS}[op](values)(value)
    names = ["custom_x"]
    if op in OPERATORS_BY_TYPE[AttributeType.STRING]:
        names.append("name")
    user = UserFactory.create(metadata={"x": value}, name=str(value))
    UserFactory.create(metadata={"x": "-"}, name="-")
    for name in names:
        clause = {"attribute": name, "op": op, "values": values}
        found = User.objects.in_segment(
            parse_definition({"key": "k", "rules": [{"clauses": [clause]}]})
        )
        assert list(found) == [user], name
