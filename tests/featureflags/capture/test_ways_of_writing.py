"""Every way of writing notifies the cache before it returns: Django's own, the driver's, COPY, pipelines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from featureflags.capture import own_writes
from tests.featureflags.capture.listening import UPDATE, Listener, on_postgresql
from tests.featureflags.capture.writing import execute
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


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
def test_each_way_of_writing_notifies_the_cache_before_it_returns(
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
