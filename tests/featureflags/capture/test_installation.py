"""Triggers are installed once, replaced when they are old, and named when they do not work."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from featureflags.capture import installation
from featureflags.capture.plan import Fault
from featureflags.capture.statements import PREFIX
from featureflags.capture.watches import declared_watches
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


def faults() -> set[Fault]:
    return {problem.fault for problem in installation.problems(connection)}


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def names() -> list[str]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SELECT proname FROM pg_proc WHERE starts_with(proname, '{PREFIX}')")
        else:
            cursor.execute(f"SELECT name FROM sqlite_master WHERE name LIKE '{PREFIX}%'")
        return [name for (name,) in cursor.fetchall()]


def call(*arguments: str) -> str:
    out = io.StringIO()
    call_command("capture_triggers", *arguments, stdout=out)
    return out.getvalue()


def other_columns(monkeypatch: pytest.MonkeyPatch, *columns: str) -> None:
    """Another release, whose kind reads these columns of the users."""
    watches = (replace(declared_watches()[0], columns=columns), *declared_watches()[1:])
    monkeypatch.setattr(installation, "declared_watches", lambda: watches)


def undelivered_keys() -> list[list[str] | None]:
    return list(OutboxEvent.objects.values_list("keys", flat=True))


def test_a_second_installation_writes_nothing() -> None:
    assert installation.problems(connection) == []
    assert installation.install(connection) == []
    assert installation.self_test(connection) == []


def test_what_is_removed_is_missing_and_comes_back() -> None:
    UserFactory.create()
    OutboxEvent.objects.all().delete()
    epoch = RulesetVersion.objects.get().epoch
    removed = installation.remove(connection)
    assert names() == []
    assert faults() == {Fault.MISSING}

    assert sorted(installation.install(connection)) == sorted(removed)

    assert faults() == set()
    # Writes without triggers count as a change of everybody. SQLite's connection handles that at once.
    pending = list(OutboxEvent.objects.values_list("kind", "keys"))
    assert pending == [("user", None)] or RulesetVersion.objects.get().epoch > epoch


def test_an_empty_table_has_changed_nobody_meanwhile() -> None:
    OutboxEvent.objects.all().delete()
    installation.remove(connection)
    installation.install(connection)

    assert list(OutboxEvent.objects.all()) == []


def test_a_trigger_of_other_columns_is_old_and_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    other_columns(monkeypatch, "email", "password")
    assert faults() == {Fault.OLD}

    installation.install(connection)

    assert faults() == set()


@on_postgresql
def test_what_another_release_compares_is_kept_until_that_release_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = UserFactory.create(role="user")
    other_columns(monkeypatch, "email", "password")
    installation.install(connection, exact=False)
    assert faults() == set()
    OutboxEvent.objects.all().delete()
    for change in ({"role": "admin"}, {"password": "x"}):
        type(user).objects.filter(pk=user.pk).update(**change)
        assert undelivered_keys() == [[str(user.pk)]], change
        OutboxEvent.objects.all().delete()

    assert "Another release watches more" in call("--check")
    call("--install")

    type(user).objects.filter(pk=user.pk).update(role="user")
    assert undelivered_keys() == []
    assert call("--check") == "Every write is seen.\n"


@on_postgresql
def test_tables_that_only_another_release_watches_are_watched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = names()
    monkeypatch.setattr(installation, "declared_watches", lambda: declared_watches()[:1])

    installation.install(connection, exact=False)

    assert sorted(names()) == sorted(before)
    assert faults() == set()


@on_postgresql
def test_a_table_that_lost_a_column_is_watched_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a migration was taken back, with the code that has it."""
    user = UserFactory.create(role="user")
    other_columns(monkeypatch, "email", "country")

    installation.install(connection, exact=False)

    assert faults() == {Fault.ABSENT}
    OutboxEvent.objects.all().delete()
    type(user).objects.filter(pk=user.pk).update(role="admin")
    assert undelivered_keys() == [[str(user.pk)]]


def test_watches_that_are_gone_take_their_triggers_along(monkeypatch: pytest.MonkeyPatch) -> None:
    before = names()
    monkeypatch.setattr(installation, "declared_watches", lambda: ())

    installation.install(connection)

    assert 0 < len(names()) < len(before)


def test_names_are_short_and_unique() -> None:
    assert len(set(names())) == len(names())
    assert all(len(name) <= 63 for name in names())


@on_postgresql
def test_a_disabled_trigger_is_named_and_enabled_again() -> None:
    execute("ALTER TABLE users_user DISABLE TRIGGER USER")
    assert faults() == {Fault.DISABLED}

    installation.install(connection)

    assert faults() == set()


@on_postgresql
def test_the_self_test_finds_a_comparison_that_fails() -> None:
    execute("ALTER TABLE users_user RENAME COLUMN name TO title")
    try:
        assert {problem.fault for problem in installation.self_test(connection)} == {Fault.FAILS}
        assert faults() == {Fault.ABSENT}
    finally:
        execute("ALTER TABLE users_user RENAME COLUMN title TO name")


@on_postgresql
def test_the_type_of_a_watched_column_can_change() -> None:
    execute("ALTER TABLE users_user ALTER COLUMN name TYPE varchar(300)")
    execute("ALTER TABLE users_user ALTER COLUMN name TYPE varchar(200)")

    assert installation.problems(connection) == []


def test_the_command_removes_installs_and_checks() -> None:
    assert "triggers removed" in call("--remove")
    with pytest.raises(CommandError, match="some writes are not seen"):
        call("--check")
    assert "triggers installed" in call("--install")
    assert call("--check") == "Every write is seen.\n"


def test_the_printed_statements_install_them() -> None:
    printed = call("--sql")
    installation.remove(connection)

    if connection.vendor == "postgresql":
        execute(printed)
    else:
        connection.ensure_connection()
        connection.connection.executescript(printed)

    assert installation.problems(connection) == []


def test_migrations_pass_with_the_triggers_and_the_way_back_removes_them() -> None:
    call_command("migrate", "featureflags", "0010", verbosity=0)
    try:
        execute("UPDATE users_user SET name = 'x'")
        assert all("rules" in name for name in names())
    finally:
        call_command("migrate", "featureflags", verbosity=0)
        installation.install(connection)

    assert installation.problems(connection) == []
