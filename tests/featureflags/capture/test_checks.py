"""The system checks say when a write would not be seen."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from pytest_django.fixtures import Settings

from featureflags.capture import installation
from featureflags.capture.checks import check_router, check_triggers
from featureflags.checks import check_database
from tests.factories import SegmentFactory
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


class ReplicaRouter:
    def db_for_read(self, model: object, **_: object) -> str:
        return "replica"


def test_triggers_that_are_missing_are_named_and_shown_by_readyz(client: Client) -> None:
    assert check_triggers(["default"]) == []
    assert client.get("/readyz").json()["triggers"] == {"ok": True, "problem": None}
    installation.remove(connection)
    try:
        found = check_triggers(["default"])
        shown = client.get("/readyz").json()["triggers"]
    finally:
        installation.install(connection)
    assert {message.id for message in found} == {"featureflags.W040"}
    assert shown == {"ok": False, "problem": "LookupError"}


def test_migrate_looks_first_and_repairs_them() -> None:
    """Also with a stored rule on an attribute that a release has taken away: a deployment goes on."""
    segment = SegmentFactory.create(key="odd")
    with connection.cursor() as cursor:
        rules = '[{"id": "1", "clauses": [{"attribute": "gone", "op": "in", "values": [1]}]}]'
        cursor.execute("UPDATE featureflags_segment SET rules = %s WHERE key = 'odd'", [rules])
    installation.remove(connection)
    assert installation.problems(connection)

    call_command("migrate", verbosity=0, skip_checks=False)

    assert installation.problems(connection) == []
    segment.delete()


def test_without_database_nothing_is_asked() -> None:
    assert check_triggers(None) == []


def test_switched_off_is_a_warning(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TRIGGERS": False}
    assert [message.id for message in check_triggers(["default"])] == ["featureflags.W042"]


def test_a_database_without_triggers_has_a_check_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on MySQL or Oracle, which no driver is installed for here."""
    monkeypatch.setattr(connection, "vendor", "oracle")
    assert check_triggers(["default"]) == []
    assert [message.id for message in check_database()] == ["featureflags.E050"]


class ReplicaOfUsersRouter:
    def db_for_read(self, model: type[Model], **_: object) -> str | None:
        return "replica" if model is User else None


class UsersElsewhereRouter:
    def db_for_write(self, model: type[Model], **_: object) -> str | None:
        return "users" if model is User else None

    db_for_read = db_for_write


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReplicaRouter", "featureflags.W043"),
        ("ReplicaOfUsersRouter", "featureflags.W043"),
        ("UsersElsewhereRouter", "featureflags.E042"),
    ],
)
def test_a_router_that_sends_rows_elsewhere_is_named(
    settings: Settings, name: str, expected: str
) -> None:
    assert check_router() == []
    settings.DATABASE_ROUTERS = [f"tests.featureflags.capture.test_checks.{name}"]
    found = check_router()
    assert [message.id for message in found] == [expected]
    assert "User" in found[0].msg
