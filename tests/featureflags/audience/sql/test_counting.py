"""The one pass over all users: one statement, which contains each extraction once."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from featureflags.audience.sizes import moved_between, segment_sizes
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.audience.sql.people import NOW, create_people
from users.models import User


def segment(key: str, *clauses: Clause) -> SegmentDefinition:
    return SegmentDefinition(key=key, rules=(Rule(clauses=clauses),))


def asks(attribute: str, *values: str, op: str = "in") -> Clause:
    return Clause(attribute=attribute, op=op, values=values)


@pytest.mark.django_db
def test_many_segments_are_one_statement_that_extracts_once() -> None:
    create_people()
    ruleset = Ruleset(
        [
            *(segment(f"d{n}", asks("email_domain", f"x{n}", "agpt.co")) for n in range(10)),
            *(segment(f"p{n}", asks("custom_a", "a"), asks("custom_a", "b")) for n in range(10)),
            *(segment(f"g{n}", asks("groups", "a")) for n in range(10)),
        ]
    )
    with CaptureQueriesContext(
        connection,
    ) as captured:
        found = segment_sizes(now=NOW, ruleset=ruleset)
    # The first one finds that there are lists in metadata, the second one looks into them.
    postgresql = connection.vendor == "postgresql"
    statements = [query["sql"] for query in captured]
    assert len(statements) == 2
    for statement in statements:
        # The part after UNION ALL is never executed: it is an optimisation fence.
        executed = statement.split("UNION ALL")[0]
        assert executed.count("SPLIT_PART(" if postgresql else "RTRIM(") == 1
        assert executed.count(" AS related ") == 1
        # The value of a JSON key and its text, or its type.
        for extraction in ("-> 'a'", "->> 'a'") if postgresql else ("JSON_EXTRACT(", "JSON_TYPE("):
            assert executed.count(extraction) == 1
    sizes = {size.key: size.count for size in found.sizes}
    assert sizes["d0"] == User.objects.in_segment(ruleset.definitions["d0"], now=NOW).count() > 0
    assert len(sizes) == 30


@pytest.mark.django_db
def test_it_counts_any_users_and_none() -> None:
    create_people()
    ruleset = Ruleset([segment("a", asks("role", "user")), segment("none")])
    some = User.objects.filter(is_staff=True)
    found = segment_sizes(now=NOW, ruleset=ruleset, users=some)
    assert found.users == some.count()
    assert found.sizes[0].count == some.filter(role="user").count()
    assert found.sizes[1].count == 0
    assert segment_sizes(now=NOW, ruleset=Ruleset([])).sizes == ()


@pytest.mark.django_db
def test_users_who_move_are_counted_where_sql_knows_and_where_it_does_not() -> None:
    create_people()
    before = Ruleset([segment("a", asks("role", "user")), segment("b", asks("name", "a"))])
    after = Ruleset(
        [segment("a", asks("role", "admin")), segment("b", asks("name", "^.b.?$", op="matches"))]
    )
    one, two = moved_between(before, after, ["a", "b"], now=NOW).values()
    users = User.objects
    assert (one.entering, one.leaving) == (
        users.filter(role="admin").count(),
        users.filter(role="user").count(),
    )
    assert (two.entering, two.leaving) == (
        users.filter(name__in=["Ab", "abc"]).count(),
        users.filter(name="a").count(),
    )
