"""The usual rules compile to what the indexes of the migrations hold."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from featureflags.audience.explain_sql import clause_costs
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.factories import clause
from tests.featureflags.audience.sql.people import NOW, create_people

EITHER: dict[str, dict[str, Any]] = {
    "user_email_domain": clause("email_domain", "in", "agpt.co"),
    "user_role": clause("role", "in", "admin"),
    "user_created_at": clause("account_age_days", "lessThan", 7),
    "user_last_seen_at": clause("days_since_last_seen", "lessThanOrEqual", 1),
}
MOVING: dict[str, dict[str, Any]] = {
    "in the last": clause("created_at", "inLast", "P14D"),
    "in the next": clause("created_at", "inNext", "P1M"),
    "longer ago": clause("created_at", "longerAgoThan", "P3M"),
    "this month or yesterday": clause("created_at", "within", "thisMonth", "lastDay"),
    "between": clause("created_at", "between", "2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"),
}
POSTGRESQL: dict[str, dict[str, Any]] = {
    "user_metadata": clause("custom_a", "in", "é", True),
    "users_user_pkey": clause("key", "in", "00000000-0000-0000-0000-000000000001"),
}


@pytest.fixture
def indexed(db: None) -> None:
    create_people()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            # So few rows are read faster without an index; what counts is whether one can serve.
            cursor.execute("SET LOCAL enable_seqscan = off")


def used(raw: dict[str, Any], *, is_exact: bool = True) -> tuple[str, ...]:
    found = Clause(
        attribute=raw["attribute"],
        op=raw["op"],
        values=tuple(raw["values"]),
        ignore_case=raw.get("ignoreCase", False),
    )
    definition = SegmentDefinition(key="s", rules=(Rule(clauses=(found,)),))
    [cost] = clause_costs(Ruleset([definition]), now=NOW)
    assert not is_exact or cost.advice == f"the index {', '.join(cost.indexes)} serves it"
    return cost.indexes


@pytest.mark.parametrize("index", sorted(EITHER))
def test_a_usual_condition_is_served_by_an_index(indexed: None, index: str) -> None:
    assert index in used(EITHER[index])


@pytest.mark.parametrize("words", sorted(MOVING))
def test_a_date_that_moves_is_a_range_that_an_index_serves(indexed: None, words: str) -> None:
    assert "user_created_at" in used(MOVING[words])


@pytest.mark.production_stack
def test_a_birthday_is_a_row_of_ranges_that_an_index_serves(indexed: None) -> None:
    """What lies in years far from now is left to Python: mostly nobody."""
    assert "user_created_at" in used(clause("created_at", "onDayOfYear", "today"), is_exact=False)


@pytest.mark.production_stack
@pytest.mark.parametrize("index", sorted(POSTGRESQL))
def test_a_condition_on_metadata_is_served_by_an_index(indexed: None, index: str) -> None:
    assert index in used(POSTGRESQL[index])


@pytest.mark.parametrize(("op", "value"), [("in", "ADMIN"), ("in", "Ärztin")])
def test_an_index_in_lower_case_serves_a_condition_that_ignores_case(
    indexed: None, op: str, value: str
) -> None:
    is_sqlite = connection.vendor == "sqlite"
    lowered = "LOWER(role)" if is_sqlite else 'LOWER(role COLLATE "C")'
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX role_lower ON users_user (({lowered}))")
    assert "role_lower" in used({**clause("role", op, value), "ignoreCase": True})


@pytest.mark.production_stack
def test_an_index_in_lower_case_serves_a_beginning(indexed: None) -> None:
    if connection.pg_version < 150000:  # type: ignore[attr-defined]  # of PostgreSQL
        pytest.skip("PostgreSQL 14 uses no index for ^@")
    with connection.cursor() as cursor:
        cursor.execute('CREATE INDEX role_lower ON users_user ((LOWER(role COLLATE "C")))')
    assert "role_lower" in used({**clause("role", "startsWith", "AD"), "ignoreCase": True})
