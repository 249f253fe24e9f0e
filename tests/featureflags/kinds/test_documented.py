"""The kind that docs/developers/kinds.md declares works as it stands, on the models of `tests.customers`."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from featureflags.audience.querysets import Resolver
from featureflags.checks.kinds import check_kinds
from featureflags.kinds.declaration import Kind
from featureflags.segments.parsing import parse_definition
from tests.architecture.sources import ROOT
from tests.customers.models import Customer, Order
from tests.docs.fences import fences_of
from tests.factories import clause
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.worlds import world

PAGE = ROOT / "docs" / "developers" / "kinds.md"


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> type[Kind]:
    [text] = [fence.text for fence in fences_of(PAGE) if fence.title == "your/kinds.py"]
    shop, models = ModuleType("shop"), ModuleType("shop.models")
    models.User, models.Order = Customer, Order  # type: ignore[attr-defined]  # a module of the page
    monkeypatch.setitem(sys.modules, "shop", shop)
    monkeypatch.setitem(sys.modules, "shop.models", models)
    names: dict[str, type[Kind]] = {}
    exec(compile(text, str(PAGE), "exec"), names)
    return names["UserKind"]


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
