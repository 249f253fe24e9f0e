"""The one pass over all users: one statement, which contains each extraction once."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from featureflags.audience.sizes import moved_between, segment_sizes
from featureflags.audience.sql import counting
from featureflags.contexts.attributes import attributes_of
from featureflags.kinds.registry import user_kind
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
    assert found.rows["user"] == some.count()
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


def crowd(count: int) -> Ruleset:
    """Segments of which databases take only some hundreds in one statement."""
    return Ruleset(
        [
            segment(
                f"s{n:04}", asks("role", "user" if n % 2 else "admin"), asks("custom_a", str(n))
            )
            if n % 3
            else segment(f"s{n:04}", asks("role", "user"))
            for n in range(count)
        ]
    )


@pytest.mark.django_db
def test_more_segments_than_a_statement_takes_are_counted_in_passes() -> None:
    """PostgreSQL refused 555 segments, SQLite 2,000."""
    create_people()
    User.objects.create_user("one@x.io", metadata={"a": "1999"})
    with CaptureQueriesContext(connection) as captured:
        found = segment_sizes(now=NOW, ruleset=crowd(2_100))
    sizes = {size.key: size.count for size in found.sizes}
    assert len(sizes) == 2_100
    assert found.rows["user"] == User.objects.count()
    assert sizes["s0000"] == sizes["s2097"] == User.objects.filter(role="user").count() > 1
    assert sizes["s1999"] == 1
    passes = [query["sql"] for query in captured if "FILTER" in query["sql"]]
    # Six of 400 segments; each is made again, as somebody has a list in the metadata.
    assert len(passes) == 12


@pytest.mark.django_db
def test_conditions_that_need_too_many_columns_are_halved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_people()
    ruleset = Ruleset([segment(f"k{n}", asks(f"custom_k{n}", "a")) for n in range(30)])
    User.objects.create_user("one@x.io", metadata={"k7": "a", "k8": ["a"]})
    wide = Ruleset([segment("wide", *(asks(f"custom_k{n}", "a") for n in (7, 8)))])
    expected = {size.key: size.count for size in segment_sizes(now=NOW, ruleset=ruleset).sizes}
    assert (expected["k7"], expected["k8"], sum(n or 0 for n in expected.values())) == (1, 1, 2)
    monkeypatch.setattr(counting, "MOST_COLUMNS", 11)
    found = segment_sizes(now=NOW, ruleset=ruleset)
    assert {size.key: size.count for size in found.sizes} == expected
    # One alone that is too wide is looked up without columns of its own.
    monkeypatch.setattr(counting, "MOST_COLUMNS", 2)
    [one] = segment_sizes(now=NOW, ruleset=wide).sizes
    assert one.count == 1


@pytest.mark.django_db
def test_users_in_doubt_are_read_once_for_all_segments_of_a_pass() -> None:
    create_people()
    expressions = ["^.b.?$", "^a", "c$", "(?i)^B", "x|Ab"]
    ruleset = Ruleset(
        [segment(f"e{n}", asks("name", text, op="matches")) for n, text in enumerate(expressions)]
        + [segment("sure", asks("role", "user"))]
    )
    with CaptureQueriesContext(connection) as captured:
        found = segment_sizes(now=NOW, ruleset=ruleset)
    for size in found.sizes:
        alone = segment_sizes(now=NOW, ruleset=ruleset, keys=[size.key]).sizes[0]
        people = [attributes_of(user, NOW) for user in user_kind().snapshots(user_kind().rows())]
        judged = sum(ruleset.matches(size.key, one, now=NOW) for one in people)
        assert (size.count, alone.count) == (judged, judged)
    read = [query["sql"] for query in captured if "COUNT" not in query["sql"]]
    assert len(read) <= 1
