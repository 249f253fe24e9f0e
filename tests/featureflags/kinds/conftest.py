"""The kind `user` of another project: `tests.customers`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.signals import setting_changed
from django.db import connection

from featureflags.capture import installation
from featureflags.kinds import registry
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.declaration import Kind
from tests.customers.declarations import CustomerKind, EmployeeKind, OrganizationKind


def forget() -> None:
    """What follows from the declarations is read anew."""
    for setting in ("INSTALLED_APPS", "FEATUREFLAGS"):
        setting_changed.send(sender=None, setting=setting, value=None, enter=True)


@contextmanager
def declared(*kinds: type[Kind]) -> Iterator[CompiledKind]:
    """Have these kinds in the place of the project's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "declared_classes", lambda: kinds)
        forget()
        yield registry.user_kind()
    forget()


@pytest.fixture
def kind() -> Iterator[CompiledKind]:
    """Of customers, without triggers."""
    with declared(CustomerKind) as found:
        yield found


@pytest.fixture
def watched(transactional_db: None) -> Iterator[CompiledKind]:
    """Of customers, with the triggers that follow from its paths."""
    with declared(CustomerKind) as found:
        installation.install(connection)
        yield found
    installation.install(connection)


@pytest.fixture
def with_organizations() -> Iterator[CompiledKind]:
    """Customers and their organizations, without triggers."""
    with declared(EmployeeKind, OrganizationKind) as found:
        yield found


@pytest.fixture
def watched_organizations(transactional_db: None) -> Iterator[CompiledKind]:
    """The same, with the triggers that follow from their paths."""
    with declared(EmployeeKind, OrganizationKind) as found:
        installation.install(connection)
        yield found
    installation.install(connection)
