"""Tables and fields that are not plain: quoted names, views, composite keys, generated columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User as DjangoUser
from django.db import connection

from featureflags.capture import installation
from featureflags.capture.checks import check_triggers
from featureflags.checks.kinds import check_kinds
from featureflags.evaluation.resolve import resolve
from featureflags.kinds import Instant, Kind, Many, Number, Text, registry
from featureflags.kinds.registry import kind_named, kinds
from tests.customers import clerks
from tests.customers.clerks import Clerk, Level, Plot, Total
from tests.featureflags.kinds.clerks import (
    ClerkKind,
    ViewedKind,
    WatchedViewKind,
    resolve_clerk,
    some_clerks,
)
from tests.featureflags.kinds.clerks import tables as tables
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.unusual_models.test_writes_are_seen import fill, stale
from tests.featureflags.kinds.unusual_models.writes import execute

pytestmark = pytest.mark.django_db(transaction=True)

CLERKS, COLUMN = '"customers_All clerks"', '"Name of {a clerk}"'


@pytest.fixture
def watched(tables: None) -> Iterator[None]:
    with declared(ClerkKind):
        assert [kind.problems for kind in kinds()] == [[], []]
        installation.install(connection)
        assert installation.problems(connection) == []
        yield
    installation.install(connection)


WRITES: dict[str, Callable[[Clerk, Clerk], object]] = {
    "quoted table": lambda ada, bob: execute(f"UPDATE {CLERKS} SET {COLUMN} = 'eve'"),
    "enum": lambda ada, bob: Clerk.objects.filter(pk=bob.pk).update(level=Level.SENIOR),
    "null to false": lambda ada, bob: Clerk.objects.filter(pk=bob.pk).update(is_away=False),
    "friend renamed": lambda ada, bob: Clerk.objects.filter(pk=bob.pk).update(name="bea"),
    "no friends": lambda ada, bob: ada.friends.clear(),
    "no friends, from the other side": lambda ada, bob: bob.friends.remove(ada),
    "composite key": lambda ada, bob: Plot.objects.filter(pk=(ada.pk, 1)).update(label="east"),
    "composite key moves": lambda ada, bob: Plot.objects.filter(pk=(ada.pk, 1)).update(clerk=bob),
    "composite key goes": lambda ada, bob: Plot.objects.get(pk=(ada.pk, 2)).delete(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_each_write_is_seen_when_it_returns(
    watched: None, write: Callable[[Clerk, Clerk], object]
) -> None:
    ada, bob = some_clerks()
    before = [row.to_dict() for row in map(resolve_clerk, (ada, bob))]
    known = fill()
    write(ada, bob)
    assert stale(known) == {}
    assert [row.to_dict() for row in map(resolve_clerk, (ada, bob))] != before


def test_what_the_contexts_say(watched: None) -> None:
    ada, _ = some_clerks()
    found = resolve_clerk(ada)
    values = {name: found.get(name) for name in ("name", "level", "loud", "friends", "plots")}
    assert values == {
        "name": "ada",
        "level": "jr",
        "loud": "ADA",
        "friends": ["bob"],
        "plots": ["north", "south"],
    }
    kind = kind_named("clerk")
    assert kind is not None
    new = kind.snapshot_of(Clerk(pk=7, name="new", level=Level.SENIOR))
    assert (new.level, new.loud) == ("sr", None)
    [choices] = [each.choices for each in kind.attributes if each.name == "level"]
    assert choices == (("jr", "Junior"), ("sr", "Senior"))


def test_a_generated_column_is_watched_by_what_it_is_computed_from() -> None:
    loud = type("LoudKind", (Kind,), {"name": "clerk", "model": Clerk, "loud": Text("loud")})
    with declared(loud):
        found = kind_named("clerk")
        assert found is not None
        [watch] = found.watches
    assert set(watch.columns) == {"loud", "Name of {a clerk}"}


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Many("rivals__name"), "Clerk.rivals has no name for the way back"),
        (Many("notes__text"), "Clerk.notes is a GenericRelation, which leads to no other row"),
        (Number("shift"), "Clerk.shift is a DurationField, which does not fit number"),
        (Instant("begins"), "Clerk.begins is a TimeField, which does not fit instant"),
        (Text("picture"), "Clerk.picture is a BinaryField, which does not fit text"),
        (Text("paper"), "Clerk.paper is a FileField, which does not fit text"),
        (Text("address"), "Clerk.address is a GenericIPAddressField, which does not fit text"),
        (Text("level", choices=["jr", "sr"]), "The choices must be pairs"),  # type: ignore[list-item]
    ],
)
def test_what_no_attribute_can_be_is_named(field: Any, why: str) -> None:
    """The rest of the kind stays as it is."""
    wrong = type("WrongKind", (ClerkKind,), {"name": "clerk", "wrong": field})
    with declared(wrong):
        messages = [each.msg for each in check_kinds() if each.id == "featureflags.E060"]
        found = kind_named("clerk")
    assert [message.startswith(f"The kind 'clerk', wrong: {why}") for message in messages] == [True]
    assert found is not None
    assert "friends" in {attribute.name for attribute in found.attributes}


def test_a_path_through_a_generic_key_is_named() -> None:
    kind = type("NoteKind", (Kind,), {"name": "note", "model": clerks.Note})
    wrong = type("WrongKind", (kind,), {"name": "note", "wrong": Text("about__name")})
    with declared(wrong):
        [message] = [each.msg for each in check_kinds() if each.id == "featureflags.E060"]
    assert "Note.about is a GenericForeignKey, which leads to no other row" in message


def test_a_model_that_another_stands_for_is_named() -> None:
    swapped = type("SwappedKind", (Kind,), {"name": "account", "model": DjangoUser})
    with declared(swapped):
        assert "User is swapped for users.User" in registry.unusable()["account"]


class TestViews:
    """A view has no triggers."""

    def test_it_is_named_and_migrate_goes_on(self, tables: None) -> None:
        with declared(ViewedKind):
            installation.install(connection)
            assert installation.problems(connection) == []
            found = check_triggers(["default"])
        installation.install(connection)
        assert [message.id for message in found] == ["featureflags.W068"]
        assert "'clerk', total: customers_total is a view" in found[0].msg

    def test_a_watch_names_the_table_behind_it(self, tables: None) -> None:
        ada, _ = some_clerks()
        with declared(WatchedViewKind):
            installation.install(connection)
            assert check_triggers(["default"]) == []
            assert resolve_clerk(ada).get("total") == 2
            known = fill()
            Plot.objects.create(clerk=ada, number=3, label="west")
            assert stale(known) == {}
            assert resolve_clerk(ada).get("total") == 3
        installation.install(connection)

    def test_a_kind_of_a_view(self, tables: None) -> None:
        ada, _ = some_clerks()
        viewed = type(
            "TotalKind", (Kind,), {"name": "total", "model": Total, "n": Number("number")}
        )
        with declared(viewed):
            installation.install(connection)
            assert [each.id for each in check_triggers(["default"])] == ["featureflags.W068"]
            assert resolve(("total", str(ada.pk))).context.get("n") == 2
        installation.install(connection)
