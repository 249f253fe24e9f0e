"""The kind that docs/developers/kinds.md declares works as it stands, on the models of `tests.customers`."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from featureflags.audience.querysets import Resolver
from featureflags.checks.kinds import check_kinds
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.declaration import Kind
from featureflags.segments.parsing import parse_definition
from tests.architecture.sources import ROOT
from tests.customers.models import Company, Customer, Order
from tests.docs.fences import fences_of
from tests.factories import clause
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.worlds import world

PAGE = ROOT / "docs" / "developers" / "kinds.md"


def of_page(monkeypatch: pytest.MonkeyPatch, title: str) -> dict[str, type[Kind]]:
    """What the file of this title on the page declares."""
    [text] = [fence.text for fence in fences_of(PAGE) if fence.title == title]
    shop, models = ModuleType("shop"), ModuleType("shop.models")
    for name, model in {"User": Customer, "Order": Order, "Company": Company}.items():
        setattr(models, name, model)
    monkeypatch.setitem(sys.modules, "shop", shop)
    monkeypatch.setitem(sys.modules, "shop.models", models)
    names: dict[str, type[Kind]] = {}
    exec(compile(text, str(PAGE), "exec"), names)
    return names


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> type[Kind]:
    return of_page(monkeypatch, "your/kinds.py")["UserKind"]


@pytest.mark.django_db(transaction=True)
def test_several_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = of_page(monkeypatch, "your/kinds.py, further down")
    [person, *_] = [
        each
        for each in world(1)
        if (profile := getattr(each, "profile", None)) is not None and profile.company is not None
    ]
    with declared(found["UserKind"], found["OrganizationKind"]):
        # The names of companies have no index here.
        assert [str(message.id)[-4:] for message in check_kinds()] == ["E063", "W065"]
        context = resolve(person.pk)
        assert [part.context.kind for part in context.parts] == ["user", "organization"]
        company = person.profile.company
        assert company is not None
        assert context.parts[1].context.get("seats") == company.seats


@pytest.mark.django_db
def test_the_kind_of_the_page(documented: type[Kind]) -> None:
    people = world(1)
    with declared(documented) as kind:
        # Who logs in here is another model.
        assert [message.id for message in check_kinds()] == ["featureflags.E063"]
        rule = {"clauses": [clause("seats", "greaterThan", 50), clause("plan", "in", "pro")]}
        definition = parse_definition({"key": "large", "rules": [rule]})
        found = set(Resolver().members(kind.rows(), definition, None))
    expected = {
        each
        for each in people
        if (profile := getattr(each, "profile", None)) is not None
        and profile.plan == "pro"
        and profile.company is not None
        and profile.company.seats > 50
    }
    assert found == expected
    assert found
