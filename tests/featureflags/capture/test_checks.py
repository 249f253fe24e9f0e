"""The system checks say when a write would not be seen."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from featureflags.capture import installation
from featureflags.capture.checks import check_router, check_triggers

pytestmark = pytest.mark.django_db(transaction=True)


class ReplicaRouter:
    def db_for_read(self, model: object, **_: object) -> str:
        return "replica"


def test_triggers_that_are_missing_are_errors_and_shown_by_readyz(client: Client) -> None:
    assert check_triggers(["default"]) == []
    assert client.get("/readyz").json()["triggers"] == {"ok": True, "problem": None}
    installation.remove(connection)
    try:
        found = check_triggers(["default"])
        shown = client.get("/readyz").json()["triggers"]
    finally:
        installation.install(connection)
    assert {message.id for message in found} == {"featureflags.E040"}
    assert shown == {"ok": False, "problem": "LookupError"}


def test_without_database_nothing_is_asked() -> None:
    assert check_triggers(None) == []


def test_switched_off_is_a_warning(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TRIGGERS": False}
    assert [message.id for message in check_triggers(["default"])] == ["featureflags.W042"]


def test_a_router_that_sends_reads_elsewhere_is_named(settings: Settings) -> None:
    assert check_router(["default"]) == []
    settings.DATABASE_ROUTERS = ["tests.featureflags.capture.test_checks.ReplicaRouter"]
    assert [message.id for message in check_router(["default"])] == ["featureflags.W043"]
