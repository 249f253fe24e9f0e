"""A second kind: the companies of `tests.customers`, whose keys are integers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.signals import setting_changed

from featureflags.kinds import DaysSince, Instant, Kind, Number, Text, registry
from featureflags.kinds.compiled import CompiledKind
from tests.customers.models import Company

ORGANIZATION = "organization"


class OrganizationKind(Kind):
    name = ORGANIZATION
    model = Company
    title = "name"
    search = ("name",)

    name_ = Text("name")
    seats = Number("seats")
    revenue = Number("revenue")
    discount = Number("discount")
    founded = Instant("founded")
    age_days = DaysSince("founded")


def forget() -> None:
    """What follows from the declarations is read anew."""
    for setting in ("INSTALLED_APPS", "FEATUREFLAGS"):
        setting_changed.send(sender=None, setting=setting, value=None, enter=True)


@contextmanager
def declared_beside_users(*classes: type[Kind]) -> Iterator[list[CompiledKind]]:
    """Beside the project's own kind `user`, these kinds, without triggers."""
    own = registry.declared_classes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "declared_classes", lambda: (*own, *classes))
        forget()
        found = [registry.kind_or_user(declared.name) for declared in classes]
        assert [(kind.model, kind.problems) for kind in found] == [
            (declared.model, []) for declared in classes
        ]
        yield found
    forget()


@contextmanager
def organizations_declared() -> Iterator[CompiledKind]:
    """Beside the project's own kind `user`, the kind `organization`: companies, without triggers."""
    with declared_beside_users(OrganizationKind) as (found,):
        yield found


@pytest.fixture
def organizations() -> Iterator[CompiledKind]:
    """The kind `organization`, declared for this test."""
    with organizations_declared() as found:
        yield found
