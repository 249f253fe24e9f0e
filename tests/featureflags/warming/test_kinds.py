"""Cache warm-ups of several kinds: one run for all, or for one."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from featureflags.cache import protocol
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import WarmRange, WarmRun
from featureflags.warming.scope import Scope, scope_for
from featureflags.warming.worker import warm
from tests.customers.models import Company
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kinds(organizations: CompiledKind) -> CompiledKind:
    return organizations


def warmed() -> set[object]:
    """The addresses of the rows that the cache holds."""
    rows = [str(user) for user in UserFactory._meta.model.objects.values_list("pk", flat=True)]
    companies = [("organization", str(pk)) for pk in Company.objects.values_list("pk", flat=True)]
    return set(protocol.read([*rows, *companies]).fresh)


def test_one_run_warms_every_kind(settings: object) -> None:
    user = UserFactory.create()
    companies = [Company.objects.create(name=f"c{number}", seats=number) for number in range(5)]
    ended = warm(scope_for(None, everyone=True))
    assert (ended.read, ended.written, ended.failed) == (6, 6, 0)
    assert warmed() == {str(user.pk), *(("organization", str(each.pk)) for each in companies)}
    found = protocol.read([("organization", str(companies[3].pk))]).fresh
    assert [each.seats for each in found.values()] == [3]
    assert set(WarmRange.objects.values_list("kind", flat=True)) == {"user", "organization"}
    assert warm(scope_for(None, everyone=True)).kept == 6


def test_one_kind_alone() -> None:
    UserFactory.create()
    company = Company.objects.create(name="Acme")
    output = StringIO()
    call_command("warm_contexts", "--all", "--kind", "organization", stdout=output)
    assert warmed() == {("organization", str(company.pk))}
    assert WarmRun.objects.get().kind == "organization"


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(CommandError, match="There is no kind 'planet'"):
        call_command("warm_contexts", "--kind", "planet")


@pytest.mark.parametrize(
    ("kind", "other", "covers"),
    [("", "user", True), ("user", "user", True), ("user", "", False), ("user", "o", False)],
)
def test_a_run_covers_the_kinds_that_it_warms(kind: str, other: str, covers: bool) -> None:
    assert Scope(days=None, kind=kind).covers(Scope(days=7, kind=other)) is covers
