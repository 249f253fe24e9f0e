"""Models that are not plain: children of others, proxies, links to other columns, hidden rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, IntegerField, OuterRef, Subquery

from featureflags.audience.querysets import Resolver
from featureflags.cache import protocol
from featureflags.capture import installation
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds import Kind, Many, Number, Related, Text, WatchRows
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.loaded_rows import NotLoaded
from featureflags.kinds.registry import kind_named, kind_of_row, kinds
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Person
from tests.customers.partners import Mark, Marking, Partner, Pass, Reseller, TopReseller
from tests.factories import clause, rule
from tests.featureflags.kinds.conftest import declared

pytestmark = pytest.mark.django_db(transaction=True)

Chance = random.Random
PARTNER, RESELLER = Partner._meta.db_table, Reseller._meta.db_table


class PersonKind(Kind):
    name = "user"
    model = Person
    username = Text("username")
    colour = Text("pass__colour")


class PartnerKind(Kind):
    name = "partner"
    model = Partner
    key = "code"
    title = "name"

    name_ = Text("name")
    parent = Text("parent__name")
    grandparent = Text("parent__parent__name")
    children = Many("children__name")
    marks = Many("marks__label")
    region = Text("reseller__region")
    name_length = Number("name_length")
    gone_resellers = Number(
        Subquery(
            Reseller.every.filter(backup=OuterRef("pk"), is_gone=True)
            .order_by()
            .values("backup")
            .annotate(number=Count("pk"))
            .values("number"),
            output_field=IntegerField(),
        ),
        watch=WatchRows(Reseller, "backup__partner_ptr", fields=("backup", "is_gone")),
    )


class ResellerKind(Kind):
    name = "reseller"
    model = Reseller
    title = "name"

    name_ = Text("name")
    region = Text("region")
    parent = Text("parent__name")
    backup = Text("backup__name")
    backs_up = Many("backs_up__name")
    marks = Many("marks__label")


class TopKind(Kind):
    name = "top"
    model = TopReseller
    region = Text("region")
    name_ = Text("name")


class PassKind(Kind):
    name = "pass"
    model = Pass
    colour = Text("colour")
    partner = Text("partner__name")
    region = Text("partner__region")
    note = Text("key")
    of_reseller = Related("partner", kind="reseller")


KINDS = (PersonKind, PartnerKind, ResellerKind, TopKind, PassKind)


@pytest.fixture(autouse=True)
def watched(transactional_db: None) -> Iterator[None]:
    with declared(*KINDS):
        assert [kind.problems for kind in kinds()] == [[]] * len(KINDS)
        installation.install(connection)
        assert installation.problems(connection) == []
        yield
    installation.install(connection)


def world(seed: int) -> None:
    chance = Chance(seed)
    for label in ("gold", "silver", "tin"):
        Mark.every.create(text=f"m-{label}", label=label, is_gone=label == "tin")
    for number in range(4):
        known = list(Partner.every.all())
        Partner.every.create(
            code=f"p{number}",
            name=chance.choice(["Acme", "acme", "Ünion"]),
            parent=chance.choice([None, *known]),
        )
    for number in range(4):
        Reseller.every.create(
            code=f"r{number}",
            name=f"Reseller {number}",
            region=chance.choice(["north", "south"]),
            parent=chance.choice(list(Partner.every.all())),
            backup=chance.choice([None, *Reseller.every.all()]),
        )
    for partner in Partner.every.all():
        for mark in chance.sample(list(Mark.every.all()), chance.randrange(3)):
            Marking.objects.create(partner=partner, mark=mark)
    for number in range(3):
        person = Person.objects.create(username=f"u{number}")
        Pass.objects.create(
            person=person, colour="red", partner=chance.choice(list(Reseller.every.all()))
        )


def one(chance: Chance, model: Any) -> Any:
    rows = model.every if hasattr(model, "every") else model.objects
    return chance.choice(list(rows.order_by("pk")))


def execute(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def name_in_other_letters(chance: Chance) -> None:
    del chance
    execute(f"UPDATE {PARTNER} SET name = UPPER(name)")


def name_of_a_child(chance: Chance) -> None:
    reseller = one(chance, Reseller)
    reseller.name = f"n{chance.randrange(10**6)}"
    reseller.save()


def name_by_the_parent(chance: Chance) -> None:
    key = one(chance, Reseller).pk
    Partner.every.filter(pk=key).update(name=f"n{chance.randrange(10**6)}")


def region_by_a_proxy(chance: Chance) -> None:
    top = TopReseller.every.get(pk=one(chance, Reseller).pk)
    top.region = f"r{chance.randrange(10**6)}"
    top.save(update_fields=["region"])


def hide_a_partner(chance: Chance) -> None:
    Partner.every.filter(pk=one(chance, Partner).pk).update(is_gone=True)


def hide_a_reseller(chance: Chance) -> None:
    execute(f"UPDATE {PARTNER} SET is_gone = %s WHERE id = %s", True, one(chance, Reseller).pk)


def show_everybody(chance: Chance) -> None:
    del chance
    Partner.every.update(is_gone=False)


def another_parent(chance: Chance) -> None:
    Partner.every.filter(pk=one(chance, Partner).pk).update(parent=one(chance, Partner))


def delete_a_partner(chance: Chance) -> None:
    if Partner.every.count() > 4:
        Partner.every.filter(pk=one(chance, Partner).pk).delete()


def no_reseller_any_more(chance: Chance) -> None:
    reseller = one(chance, Reseller)
    Pass.objects.filter(partner=reseller).update(partner=None)
    Reseller.every.filter(backup=reseller).update(backup=None)
    execute(f"DELETE FROM {RESELLER} WHERE partner_ptr_id = %s", reseller.pk)
    Reseller(partner_ptr=one(chance, Partner), region="new").save_base(raw=True)


def mark_another(chance: Chance) -> None:
    marking = Marking.objects.first()
    if marking is not None:
        Marking.objects.filter(pk=marking.pk).update(partner=one(chance, Partner))


def mark_otherwise(chance: Chance) -> None:
    execute(f"UPDATE {Marking._meta.db_table} SET mark_id = %s", one(chance, Mark).text)


def rename_a_mark(chance: Chance) -> None:
    Mark.every.filter(pk=one(chance, Mark).pk).update(label=f"l{chance.randrange(9)}")


def give_a_pass_away(chance: Chance) -> None:
    person = Person.objects.create(username=f"new{chance.randrange(10**9)}")
    Pass.objects.filter(pk=one(chance, Pass).pk).update(person=person)


def colour(chance: Chance) -> None:
    execute(f"UPDATE {Pass._meta.db_table} SET colour = %s", f"c{chance.randrange(99)}")


def another_code(chance: Chance) -> None:
    free = Partner.every.filter(children=None, marks=None).first()
    if free is not None:
        Partner.every.filter(pk=free.pk).update(code=f"c{chance.randrange(10**6)}")


WRITES: tuple[Callable[[Chance], None], ...] = (
    name_in_other_letters,
    name_of_a_child,
    name_by_the_parent,
    region_by_a_proxy,
    hide_a_partner,
    hide_a_reseller,
    show_everybody,
    another_parent,
    delete_a_partner,
    no_reseller_any_more,
    mark_another,
    mark_otherwise,
    rename_a_mark,
    give_a_pass_away,
    colour,
    another_code,
)


def address(kind: CompiledKind, key: str) -> Any:
    return key if kind.name == "user" else (kind.name, key)


def fill() -> dict[Any, Any]:
    """Every row goes into the cache; who there is."""
    found: dict[Any, Any] = {}
    for kind in kinds():
        found |= {address(kind, row.key): row for row in kind.snapshots(kind.rows())}
    contexts_for(list(found))
    assert protocol.read(list(found)).fresh.keys() == found.keys()
    return found


def stale(known: dict[Any, Any]) -> dict[Any, Any]:
    """What the cache says of those who were in it, where the rows say something else."""
    stored: dict[Any, Any] = {}
    for kind in kinds():
        stored |= {address(kind, row.key): row for row in kind.snapshots(kind.rows())}
    fresh = protocol.read(list(known)).fresh
    return {row: value for row, value in fresh.items() if value != stored.get(row)}


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_each_write_is_seen_when_it_returns(write: Callable[[Chance], None]) -> None:
    world(3)
    chance = Chance(write.__name__)
    for in_transaction in (False, True):
        known = fill()
        if in_transaction:
            with transaction.atomic():
                write(chance)
        else:
            write(chance)
        assert stale(known) == {}


@pytest.mark.parametrize("seed", range(3))
def test_random_writes_one_after_another(seed: int) -> None:
    world(seed)
    chance = Chance(seed)
    for _ in range(30):
        known = fill()
        write = chance.choice(WRITES)
        write(chance)
        assert stale(known) == {}, write.__name__


def some_partners() -> None:
    """One family, with a mark that the manager of marks hides."""
    gold = Mark.every.create(text="m-gold", label="gold")
    tin = Mark.every.create(text="m-tin", label="tin", is_gone=True)
    head = Partner.every.create(code="h", name="Head")
    east = Reseller.every.create(code="e", name="East", region="east", parent=head)
    west = Reseller.every.create(code="w", name="WEST", region="west", parent=head, backup=east)
    for mark in (gold, tin):
        Marking.objects.create(partner=Partner.every.get(code="w"), mark=mark)
    Pass.objects.create(person=Person.objects.create(username="ada"), colour="red", partner=west)


def values(name: str, key: str) -> dict[str, Any]:
    return resolve((name, key)).context.get_individual_context(0).to_dict()  # type: ignore[union-attr]


def test_what_the_contexts_say() -> None:
    some_partners()
    assert values("partner", "h")["children"] == ["East", "WEST"]
    west = values("partner", "w")
    assert (west["parent"], west["region"], west["name_length"]) == ("Head", "west", 4)
    assert west["marks"] == ["gold", "tin"]
    reseller = values("reseller", str(Reseller.every.get(code="w").pk))
    assert (reseller["name"], reseller["backup"], reseller["parent"]) == ("WEST", "East", "Head")
    assert reseller["marks"] == ["gold", "tin"]
    east = Reseller.every.get(code="e")
    assert values("reseller", str(east.pk))["backs_up"] == ["WEST"]
    assert resolve(east).context.get("backs_up") == ["WEST"]
    Reseller.every.filter(code="w").update(is_gone=True)
    assert values("partner", "e")["gone_resellers"] == 1
    assert resolve(("partner", "w")).degraded
    person = Person.objects.get()
    assert values("pass", str(person.pk))["partner"] == "WEST"
    assert resolve(str(person.pk)).context.get("colour") == "red"


def test_loaded_rows_say_the_same_or_that_they_are_not_loaded() -> None:
    some_partners()
    for kind in kinds():
        stored = {row.key: row for row in kind.snapshots(kind.rows())}
        assert {row.key: row for row in map(kind.snapshot_of, kind.loaded(kind.rows()))} == stored
        for row in kind.rows().prefetch_related(
            *(["marks"] if hasattr(kind.model, "marks") else [])
        ):
            try:
                found = kind.snapshot_of(row)
            except NotLoaded:
                continue
            assert found == stored[found.key]


def test_a_row_is_of_the_nearest_kind() -> None:
    some_partners()
    top = TopReseller.every.get(code="w")
    found = [
        kind_of_row(row)
        for row in (top, Reseller.every.get(pk=top.pk), Partner.every.get(pk=top.pk))
    ]
    assert [kind and kind.name for kind in found] == ["top", "reseller", "partner"]
    assert resolve(top).context.get("name") == "WEST"


@pytest.mark.parametrize(
    ("name", "condition", "expected"),
    [
        ("partner", clause("name", "in", "west"), set()),
        ("partner", {**clause("name", "in", "west"), "ignoreCase": True}, {"w"}),
        ("partner", clause("name", "startsWith", "we"), set()),
        ("partner", clause("children", "in", "EAST"), set()),
        ("partner", clause("children", "in", "East"), {"h"}),
        ("partner", clause("marks", "in", "tin"), {"w"}),
        ("partner", clause("name_length", "greaterThan", 3), {"h", "e", "w"}),
        ("partner", clause("parent", "in", "Head", negate=True), set()),
        ("partner", clause("key", "in", "h", "w"), {"h", "w"}),
    ],
)
def test_sql_and_memory_agree(name: str, condition: dict[str, Any], expected: set[str]) -> None:
    some_partners()
    kind = kind_named(name)
    assert kind is not None
    definition = parse_definition({"key": "s", "kind": name, "rules": [rule(condition)]})
    now, ruleset = now_in_microseconds(), Ruleset([definition])
    held = {
        row.key
        for row in kind.snapshots(kind.rows())
        if ruleset.match(attributes_of(row, now), now=now, kind=name)
    }
    in_sql = set(kind.keys(Resolver().members(kind.rows(), definition, now)))
    assert (held, in_sql) == (expected, expected)
