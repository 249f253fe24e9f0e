"""What PostgreSQL alone has: other schemas, partitions, arrays, and columns that get another type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from featureflags.audience.querysets import Resolver
from featureflags.capture import installation
from featureflags.checks.kinds import check_kinds
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.kinds import Many, Text
from featureflags.kinds.registry import kind_named, kinds
from featureflags.models import OutboxEvent
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.customers.clerks import Account, Clerk, Visit
from tests.factories import clause, rule
from tests.featureflags.kinds.clerks import BadgeKind, SpreadKind, resolve_clerk, some_clerks
from tests.featureflags.kinds.clerks import tables as tables
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.unusual_models.test_writes_are_seen import fill, stale
from tests.featureflags.kinds.unusual_models.writes import execute

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.production_stack]


@pytest.fixture(autouse=True)
def spread(tables: None) -> Iterator[None]:
    with declared(SpreadKind, BadgeKind):
        assert [kind.problems for kind in kinds()] == [[], [], []]
        installation.install(connection)
        assert installation.problems(connection) == []
        assert installation.self_test(connection) == []
        yield
    installation.install(connection)


@pytest.fixture
def pair() -> tuple[Clerk, Clerk]:
    ada, bob = some_clerks()
    Account.objects.create(clerk=ada, plan="free")
    Visit.objects.create(clerk=ada, at=1, place="hall")
    BadgeKind.model._default_manager.create(clerk=ada, texts=["b", None, "a", "b"])
    BadgeKind.model._default_manager.create(clerk=bob, texts=None)
    return ada, bob


def test_what_they_say(pair: tuple[Clerk, Clerk]) -> None:
    ada, bob = map(resolve_clerk, pair)
    assert (ada.get("plan"), ada.get("visits"), ada.get("badges")) == (
        "free",
        ["hall"],
        ["a", "b"],
    )
    assert (bob.get("plan"), bob.get("visits"), bob.get("badges")) == (None, [], [])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE crm.accounts SET plan = 'pro'",
        "DELETE FROM crm.accounts",
        "TRUNCATE crm.accounts",
        "UPDATE customers_visit SET place = 'door'",
        "UPDATE customers_visit SET at = 150, place = 'roof'",
        "INSERT INTO customers_visit (clerk_id, at, place) VALUES ({bob}, 120, 'hall')",
        "DELETE FROM customers_visit",
        "UPDATE customers_badge SET texts = '{{x}}'",
        "UPDATE customers_badge SET texts[1] = 'c'",
    ],
)
def test_each_write_is_seen_when_it_returns(pair: tuple[Clerk, Clerk], statement: str) -> None:
    before = [resolve_clerk(clerk).to_dict() for clerk in pair]
    known = fill()
    execute(statement.format(bob=pair[1].pk))
    assert stale(known) == {}
    assert [resolve_clerk(clerk).to_dict() for clerk in pair] != before


def test_another_type_of_a_column_is_everybody_s_change(pair: tuple[Clerk, Clerk]) -> None:
    """An ALTER TABLE writes rows past every trigger: the next installation makes up for it."""
    known = fill()
    execute("ALTER TABLE crm.accounts ALTER plan TYPE varchar(20) USING upper(plan)")
    assert stale(known)
    assert installation.problems(connection) == []
    assert installation.install(connection, exact=False)
    everybody = OutboxEvent.objects.filter(keys__isnull=True)
    assert list(everybody.values_list("kind", flat=True)) == ["clerk"]
    assert installation.install(connection, exact=False) == []


def test_loaded_rows_say_the_same(pair: tuple[Clerk, Clerk]) -> None:
    kind = kind_named("badge")
    assert kind is not None
    stored = {row.key: row for row in kind.snapshots(kind.rows())}
    assert {row.key: row for row in map(kind.snapshot_of, kind.rows())} == stored
    assert {row.texts for row in stored.values()} == {("a", "b"), ()}
    clerk = kind_named("clerk")
    assert clerk is not None
    loaded = list(map(clerk.snapshot_of, clerk.loaded(clerk.rows().order_by("pk"))))
    assert loaded == clerk.snapshots(clerk.rows().order_by("pk"))


@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize(
    ("op", "values"),
    [
        ("in", ["a"]),
        ("in", ["B", "x"]),
        ("in", [None]),
        ("startsWith", ["a"]),
        ("contains", [""]),
        ("matches", ["^b$"]),
        ("exists", [True]),
        ("hasAtLeast", [2]),
        ("hasAtMost", [0]),
    ],
)
def test_sql_and_memory_agree(
    pair: tuple[Clerk, Clerk], op: str, values: list[Any], negate: bool
) -> None:
    now = now_in_microseconds()
    for name, attribute in (("clerk", "badges"), ("badge", "texts")):
        kind = kind_named(name)
        assert kind is not None
        raw = {
            "key": "s",
            "kind": name,
            "rules": [rule(clause(attribute, op, *values, negate=negate))],
        }
        definition = parse_definition(raw)
        ruleset = Ruleset([definition])
        held = {
            row.key
            for row in kind.snapshots(kind.rows())
            if ruleset.match(attributes_of(row, now), now=now, kind=name)
        }
        assert set(kind.keys(Resolver().members(kind.rows(), definition, now))) == held


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Text("texts"), "Badge.texts is an ArrayField, which does not fit text"),
        (Many("numbers"), "Badge.numbers is an ArrayField, which does not fit texts"),
    ],
)
def test_other_arrays_are_named(field: Any, why: str) -> None:
    wrong = type("WrongKind", (BadgeKind,), {"name": "badge", "wrong": field})
    with declared(wrong):
        [message] = [each.msg for each in check_kinds() if each.id == "featureflags.E060"]
    assert message == f"The kind 'badge', wrong: {why}."
