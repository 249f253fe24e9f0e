"""What a connection writes is known at once, and told after the commit, whichever way it is written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction

from featureflags.capture import listeners, own_writes
from featureflags.capture.own_writes import Written
from featureflags.models import OutboxEvent, Segment
from tests.factories import UserFactory
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


class Listener:
    """Writes down what is noted and told, and deletes the outbox rows as the cache would."""

    def __init__(self) -> None:
        self.noted: list[tuple[str | None, list[str] | None]] = []
        self.told: list[Written] = []
        self.states: list[bool] = []

    def note(self, kind: str | None, keys: Any) -> None:
        self.noted.append((kind, None if keys is None else list(keys)))

    def tell(self, using: str, written: Written) -> None:
        self.told.append(written)
        self.states.append(connection.in_atomic_block)
        OutboxEvent.objects.using(using).filter(pk__in=written.rows + written.unread).delete()

    @property
    def keys(self) -> set[str]:
        return set().union(*(written.keys.get("user", set()) for written in self.told))


@pytest.fixture
def user() -> User:
    made: User = UserFactory.create(email="ada@example.com")
    return made


@pytest.fixture
def listener(user: User, monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener()
    monkeypatch.setattr(own_writes, "_noted", [made.note])
    monkeypatch.setattr(own_writes, "_committed", [made.tell])
    OutboxEvent.objects.all().delete()
    made.told.clear()
    return made


UPDATE = "UPDATE users_user SET name = 'x' WHERE email = 'ada@example.com'"


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def roll_back() -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        execute(UPDATE)
        raise ZeroDivisionError


def in_manual_mode() -> None:
    transaction.set_autocommit(False)
    try:
        execute(UPDATE)
        transaction.commit()
    finally:
        transaction.set_autocommit(True)


def in_a_raw_transaction() -> None:
    execute("BEGIN")
    execute(UPDATE)
    execute("COMMIT")


def with_executemany() -> None:
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE users_user SET name = %s", [("x",), ("y",)])


def within_another_wrapper() -> None:
    """A connection that is opened within the block of a wrapper."""
    with connection.execute_wrapper(lambda execute, *rest: execute(*rest)):
        connection.close()
        execute("SELECT 1")
    execute(UPDATE)


def in_a_pipeline() -> None:
    connection.ensure_connection()
    with connection.connection.pipeline():
        connection.connection.execute("SELECT 1")
        connection.connection.execute(UPDATE)
    # Outside of Django's autocommit the driver's own transaction is still open.
    if not connection.connection.autocommit:
        connection.connection.commit()


def with_copy() -> None:
    execute("CREATE TABLE IF NOT EXISTS names (name text)")
    execute(
        "CREATE OR REPLACE FUNCTION rename_ada() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE users_user SET name = NEW.name; RETURN NEW; END $$"
    )
    execute(
        "CREATE TRIGGER rename BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION rename_ada()"
    )
    try:
        with connection.cursor() as cursor, cursor.copy("COPY names FROM STDIN") as copy:
            copy.write_row(("x",))
    finally:
        execute("DROP TABLE names CASCADE")


def with_a_deferred_trigger() -> None:
    """The write happens during COMMIT."""
    execute("CREATE TABLE IF NOT EXISTS names (name text)")
    execute(
        "CREATE OR REPLACE FUNCTION rename_ada() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE users_user SET name = NEW.name; RETURN NEW; END $$"
    )
    execute(
        "CREATE CONSTRAINT TRIGGER rename AFTER INSERT ON names DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION rename_ada()"
    )
    try:
        with transaction.atomic():
            execute("INSERT INTO names VALUES ('x')")
            assert own_writes.written("default") is None
    finally:
        execute("DROP TABLE names CASCADE")


def past_django() -> None:
    connection.ensure_connection()
    connection.connection.execute(UPDATE)
    execute("SELECT 1")


def by_a_server_side_cursor() -> None:
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute("SELECT 1")
        execute(UPDATE)


EVERYWHERE: dict[str, Callable[[], object]] = {
    "autocommit": lambda: execute(UPDATE),
    "ORM": lambda: User.objects.update(name="x"),
    "raw BEGIN and COMMIT": in_a_raw_transaction,
    "set_autocommit(False)": in_manual_mode,
    "executemany": with_executemany,
    "opened within another wrapper": within_another_wrapper,
    "the driver's connection": past_django,
}
POSTGRESQL: dict[str, Callable[[], object]] = {
    "pipeline": in_a_pipeline,
    "COPY": with_copy,
    "deferred trigger": with_a_deferred_trigger,
    "beside a server-side cursor": by_a_server_side_cursor,
    "stream": lambda: [
        list(cursor.stream(f"{UPDATE} RETURNING 1")) for cursor in [connection.cursor()]
    ],
    "function": lambda: execute(f"DO $$ BEGIN {UPDATE}; END $$"),
}


@pytest.mark.parametrize("write", EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_each_way_of_writing_is_told_before_it_returns(
    user: User, listener: Listener, write: Callable[[], object]
) -> None:
    write()

    assert listener.keys == {str(user.pk)}
    assert own_writes.written("default") is None
    assert not undelivered()
    assert connection.get_autocommit()


@on_postgresql
@pytest.mark.parametrize("write", POSTGRESQL.values(), ids=POSTGRESQL.keys())
def test_so_is_each_way_that_only_psycopg_has(
    user: User, listener: Listener, write: Callable[[], object]
) -> None:
    write()

    assert listener.keys == {str(user.pk)}
    assert not undelivered()


def test_it_is_noted_at_the_statement_and_told_after_the_commit(
    user: User, listener: Listener
) -> None:
    with transaction.atomic():
        execute(UPDATE)
        assert ("user", [str(user.pk)]) in listener.noted
        assert own_writes.written("default") is not None
        assert listener.told == []

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


def test_it_is_told_before_any_other_commit_hook(user: User, listener: Listener) -> None:
    seen: list[bool] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(bool(listener.told)))
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
        assert listener.told == []
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


def test_a_write_after_a_reconnect_is_told_once(user: User, listener: Listener) -> None:
    for _ in range(3):
        connection.close()
        connection.ensure_connection()
    execute(UPDATE)

    assert len(listener.told) == 1


@on_postgresql
def test_a_connection_that_a_pool_lends_again_listens_once(user: User, listener: Listener) -> None:
    for _ in range(3):
        listeners.attach(connection)
    execute(UPDATE)

    assert len(listener.told) == 1
    assert len(listener.noted) == 1


def test_segments_are_told_as_rules(listener: Listener) -> None:
    Segment.objects.create(key="a", name="A")

    assert any(written.rules for written in listener.told)


@on_postgresql
def test_many_keys_are_left_in_the_outbox(listener: Listener) -> None:
    execute(
        "INSERT INTO users_user (id, email, email_verified, name, role, metadata, created_at,"
        " is_active, is_staff, is_superuser, password)"
        " SELECT gen_random_uuid(), n || '@example.org', false, '', 'user', '{}', now(), true,"
        " false, false, '' FROM generate_series(1, 6000) AS n"
    )
    execute("UPDATE users_user SET name = 'y'")

    written = listener.told[-1]
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


def test_in_a_test_that_never_commits_nothing_is_told(user: User, listener: Listener) -> None:
    outer: Any = transaction.atomic()
    outer._from_testcase = True  # as Django's TestCase opens it
    with outer:
        with transaction.atomic():
            execute(UPDATE)
        assert own_writes.written("default") is not None
        transaction.set_rollback(True)

    assert listener.told == []
    assert own_writes.written("default") is None
