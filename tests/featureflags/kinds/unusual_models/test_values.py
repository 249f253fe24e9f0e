"""What contexts, loaded rows and segments say of models that are not plain."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.audience.querysets import Resolver
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.loaded_rows import NotLoaded
from featureflags.kinds.registry import kind_named, kind_of_row, kinds
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Person
from tests.customers.partners import Mark, Marking, Partner, Pass, Reseller, TopReseller
from tests.factories import clause, rule

pytestmark = pytest.mark.django_db(transaction=True)


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
