"""What a connection writes is known at once, and notified after the commit, for every way of writing."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction

from featureflags.capture import listeners, own_writes
from featureflags.capture.own_writes import Written
from featureflags.models import OutboxEvent, Segment
from tests.factories import UserFactory
from tests.featureflags.capture.listening import UPDATE, Listener, on_postgresql
from tests.featureflags.capture.writing import execute
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def roll_back() -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        execute(UPDATE)
        raise ZeroDivisionError


def test_it_is_noted_at_the_statement_and_notified_after_the_commit(
    user: User, listener: Listener
) -> None:
    with transaction.atomic():
        execute(UPDATE)
        assert ("user", [str(user.pk)]) in listener.noted
        assert own_writes.written("default") is not None
        assert listener.notified == []

    assert listener.keys == {str(user.pk)}
    assert listener.states == [False]


def test_a_commit_hook_that_fails_does_not_come_between(user: User, listener: Listener) -> None:
    def fail() -> None:
        raise ValueError("not ours")

    def write() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            execute(UPDATE)

    with pytest.raises(ValueError, match="not ours"):
        write()

    assert listener.keys == {str(user.pk)}


def test_the_cache_is_notified_before_any_other_commit_hook(user: User, listener: Listener) -> None:
    seen: list[bool] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(bool(listener.notified)))
        execute(UPDATE)

    assert seen == [True]


@pytest.mark.parametrize("how", ["exception", "raw"])
def test_what_is_rolled_back_is_forgotten(user: User, listener: Listener, how: str) -> None:
    if how == "raw":
        execute("BEGIN")
        execute(UPDATE)
        execute("ROLLBACK")
    else:
        roll_back()
        assert listener.notified == []
    assert own_writes.written("default") is None
    assert not undelivered()


def test_a_savepoint_that_is_rolled_back_does_not_hide_the_rest(
    user: User, listener: Listener
) -> None:
    other = UserFactory.create(email="ben@example.com")
    with transaction.atomic():
        roll_back()
        execute("UPDATE users_user SET name = 'x' WHERE email = 'ben@example.com'")

    assert str(other.pk) in listener.keys


def test_a_write_after_a_reconnect_is_notified_once(user: User, listener: Listener) -> None:
    for _ in range(3):
        connection.close()
        connection.ensure_connection()
    execute(UPDATE)

    assert len(listener.notified) == 1


@on_postgresql
def test_a_connection_that_a_pool_lends_again_listens_once(user: User, listener: Listener) -> None:
    for _ in range(3):
        listeners.attach(connection)
    execute(UPDATE)

    assert len(listener.notified) == 1
    assert len(listener.noted) == 1


def test_segments_are_notified_as_rules(listener: Listener) -> None:
    Segment.objects.create(key="a", name="A")

    assert any(written.rules for written in listener.notified)


@on_postgresql
def test_many_keys_are_left_in_the_outbox(listener: Listener) -> None:
    execute(
        "INSERT INTO users_user (id, email, email_verified, name, role, metadata, created_at,"
        " is_active, is_staff, is_superuser, password)"
        " SELECT gen_random_uuid(), n || '@example.org', false, '', 'user', '{}', now(), true,"
        " false, false, '' FROM generate_series(1, 6000) AS n"
    )
    execute("UPDATE users_user SET name = 'y'")

    written = listener.notified[-1]
    assert written.keys == {}
    assert len(written.unread) == 2


def test_a_listener_that_fails_does_not_fail_the_write(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_using: str, _written: Written) -> None:
        raise RuntimeError

    monkeypatch.setattr(own_writes, "_committed", [fail])
    with transaction.atomic():
        execute(UPDATE)

    assert User.objects.get(pk=user.pk).name == "x"
    assert OutboxEvent.objects.count() >= 1, "the poll makes up for it"


def test_another_thread_sees_nothing_of_an_open_transaction(user: User, listener: Listener) -> None:
    seen: list[object] = []

    def look() -> None:
        connection.ensure_connection()
        seen.append(own_writes.written("default"))
        connection.close()

    with transaction.atomic():
        execute(UPDATE)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    assert seen == [None]


def test_in_a_test_that_never_commits_nothing_is_notified(user: User, listener: Listener) -> None:
    outer: Any = transaction.atomic()
    outer._from_testcase = True  # as Django's TestCase opens it
    with outer:
        with transaction.atomic():
            execute(UPDATE)
        assert own_writes.written("default") is not None
        transaction.set_rollback(True)

    assert listener.notified == []
    assert own_writes.written("default") is None
