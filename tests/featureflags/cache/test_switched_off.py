"""Processes in an order that needs one protection: right with it, and an old answer without it.

`test_stress` leaves the order to chance, and finds two of the switches soon.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from django.db import connection

from featureflags.cache.snapshot_store import VERSION_SECONDS
from tests.factories import UserFactory
from tests.featureflags.cache.probing import Probe
from tests.services.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, AFTER = "user", "admin"


@pytest.fixture
def key() -> str:
    return str(UserFactory.create(role=BEFORE).pk)


@pytest.fixture
def probes() -> Iterator[list[Probe]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Probe()) for _ in range(3)]


def role_of(probe: Probe, key: str) -> object:
    return probe.do("ask", key)["role"]


def write_as_another_program(key: str) -> None:
    settings = connection.settings_dict
    sql = "UPDATE users_user SET role = '{role}' WHERE id = '{key}'"
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(settings["NAME"], timeout=20)) as foreign, foreign:
            foreign.execute(sql.format(role=AFTER, key=key.replace("-", "")))
        return
    with psycopg.connect(
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"],
    ) as other:
        other.execute(sql.format(role=AFTER, key=key))


@pytest.mark.production_stack
@pytest.mark.parametrize(("without", "answer"), [("", AFTER), ("commit", BEFORE)])
def test_the_cache_is_notified_after_the_commit(
    probes: list[Probe], key: str, without: str, answer: str
) -> None:
    """Notified within the transaction, a reader caches the old row once more."""
    writer, reader, _ = probes
    writer.do("switch_off", without)
    assert role_of(reader, key) == BEFORE
    writer.do("begin")
    writer.do("set_role", key, AFTER)
    assert role_of(reader, key) == BEFORE
    writer.do("commit")
    assert role_of(reader, key) == answer


@pytest.mark.parametrize(("without", "answer"), [("", AFTER), ("outbox", BEFORE)])
def test_a_renewal_reads_the_outbox(
    probes: list[Probe], key: str, without: str, answer: str
) -> None:
    """Nobody else notifies the cache of what another program has written."""
    for probe in probes:
        probe.do("switch_off", without)
    assert role_of(probes[0], key) == BEFORE
    write_as_another_program(key)
    time.sleep(VERSION_SECONDS + 0.5)
    assert {str(role_of(probe, key)) for probe in probes} == {answer}


@pytest.mark.production_stack
@pytest.mark.parametrize(("without", "answer"), [("", AFTER), ("current row", BEFORE)])
def test_a_row_of_an_older_snapshot_is_kept_by_nobody(
    probes: list[Probe], key: str, without: str, answer: str
) -> None:
    reader, writer, other = probes
    reader.do("switch_off", without)
    reader.do("begin", "REPEATABLE READ")
    writer.do("set_role", key, AFTER)
    assert role_of(reader, key) == BEFORE, "it answers from its snapshot"
    assert role_of(other, key) == answer
    reader.do("commit")


@pytest.mark.production_stack
def test_a_writer_that_waits_for_a_lock_and_dies_behind_its_commit_is_seen(
    probes: list[Probe], key: str
) -> None:
    """Its outbox row comes with its commit: a renewal meanwhile cannot delete it too early."""
    first, reader, second = probes
    assert role_of(reader, key) == BEFORE
    first.do("begin")
    first.do("set_role", key, "system")
    second.send("die_behind_commit", "set_role", key, AFTER)

    def waits_for_the_lock() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

    wait_until(waits_for_the_lock, what="the second writer to wait")
    time.sleep(VERSION_SECONDS + 0.5)
    assert role_of(reader, key) == BEFORE, "it has renewed its version meanwhile"
    first.do("commit")
    second.has_died()
    wait_until(lambda: role_of(reader, key) == AFTER, what="the role of the second writer")
