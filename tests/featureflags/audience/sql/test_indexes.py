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


def used(raw: dict[str, Any]) -> tuple[str, ...]:
    found = Clause(attribute=raw["attribute"], op=raw["op"], values=tuple(raw["values"]))
    definition = SegmentDefinition(key="s", rules=(Rule(clauses=(found,)),))
    [cost] = clause_costs(Ruleset([definition]), now=NOW)
    assert cost.advice == f"the index {', '.join(cost.indexes)} serves it"
    return cost.indexes


@pytest.mark.parametrize("index", sorted(EITHER))
def test_a_usual_condition_is_served_by_an_index(indexed: None, index: str) -> None:
    assert index in used(EITHER[index])


@pytest.mark.production_stack
@pytest.mark.parametrize("index", sorted(POSTGRESQL))
def test_a_condition_on_metadata_is_served_by_an_index(indexed: None, index: str) -> None:
    assert index in used(POSTGRESQL[index])
