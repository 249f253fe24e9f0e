"""SQLite while another connection writes: a request waits no longer than its budget, a command as long as before."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import DatabaseWrapper

from config.settings.databases import SQLITE_OPTIONS
from featureflags.core.deadlines import Purpose, within

pytestmark = pytest.mark.django_db

USUAL_MILLISECONDS = 20_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DatabaseWrapper]:
    """A connection as the embedded default has it, to a file that another one writes to."""
    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE one (id INTEGER)")
        made.execute("INSERT INTO one VALUES (1)")
    settings: dict[str, Any] = {
        **connections.configure_settings({"default": {}})["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": SQLITE_OPTIONS,
    }
    mine = DatabaseWrapper(settings, "mine")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield mine
    mine.close()
    other.close()


def run(database: BaseDatabaseWrapper, sql: str) -> object:
    with database.cursor() as cursor:
        cursor.execute(sql)
        found: object = cursor.fetchone()
    return found


def waits(database: BaseDatabaseWrapper) -> int:
    """Milliseconds that the connection itself would wait now."""
    found: int = database.connection.execute("PRAGMA busy_timeout").fetchone()[0]
    return found


@pytest.mark.parametrize("sql", ["UPDATE one SET id = 2", "BEGIN IMMEDIATE"])
def test_a_request_waits_for_a_writer_once(database: DatabaseWrapper, sql: str) -> None:
    began = time.monotonic()
    with within(Purpose.FLAG_CHECK) as budget:
        budget.database_seconds = 0.2
        for _ in range(3):
            with pytest.raises(OperationalError, match="locked"):
                run(database, sql)
        assert waits(database) < 100, "the first wait has spent the budget"
        assert run(database, "SELECT id FROM one") == (1,), "who reads waits for nobody"
    assert time.monotonic() - began < USUAL_MILLISECONDS / 1000


def test_outside_of_a_request_the_usual_time_holds(database: DatabaseWrapper) -> None:
    assert run(database, "SELECT id FROM one") == (1,)
    assert waits(database) == USUAL_MILLISECONDS
    with within(Purpose.FLAG_CHECK) as budget:
        budget.database_seconds = 0.5
        run(database, "SELECT id FROM one")
        assert waits(database) == 500
    run(database, "SELECT id FROM one")
    assert waits(database) == USUAL_MILLISECONDS


def test_a_new_connection_is_bounded_once(database: DatabaseWrapper) -> None:
    for _ in range(3):
        database.connect()
        database.close()
    database.connect()
    assert len([each for each in database.execute_wrappers if hasattr(each, "_usual")]) == 1


@pytest.mark.embedded_stack
def test_the_database_of_the_project_is_bounded() -> None:
    default = connections["default"]
    with within(Purpose.FLAG_CHECK) as budget:
        budget.database_seconds = 0.5
        run(default, "SELECT 1")
        assert waits(default) == 500
    run(default, "SELECT 1")
    assert waits(default) == USUAL_MILLISECONDS
