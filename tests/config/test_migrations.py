"""Migrations that a running site survives: linted on PostgreSQL, and indexes that nobody waits for."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.config.composed import services
from tests.migration_lint import is_safe, main, migrations, new_migrations
from tests.services.processes import ROOT, manage, manage_process, on_this_database
from tests.services.waiting import wait_until

LARGE = {"user", "outboxevent", "historyentry", "historymember", "segmentmember"}
"""Models whose tables grow with users or with writes."""


@pytest.mark.parametrize(
    "path", migrations(), ids=lambda path: f"{path.parent.parent.name}-{path.stem}"
)
def test_an_index_on_a_table_that_grew_is_built_while_it_is_used(path: Path) -> None:
    """In the first migration of an app the table is empty."""
    made_here = "CreateModel" in path.read_text()
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            named = {key.arg: key.value for key in call.keywords}
            model = named.get("model_name")
            if call.func.attr == "AddIndex" and isinstance(model, ast.Constant):
                assert model.value not in LARGE or made_here, "use AddIndexWhileInUse"


@pytest.mark.production_stack
@pytest.mark.django_db
def test_the_linter_finds_what_would_break_the_release_that_runs() -> None:
    """The migration that renamed tables: a release before it would not find them. `make check` lints."""
    assert not is_safe(["0013_history_entries"], quiet=True)
    assert is_safe(["0018_kinds_of_segments"], quiet=True)


def test_make_check_lints_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    assert "$(BIN)/python -m tests.migration_lint" in (ROOT / "Makefile").read_text()
    if not new_migrations():
        assert main([]) == 0
        assert "No migration is new" in capsys.readouterr().out


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_an_index_waits_for_old_transactions_whatever_the_lock_timeout() -> None:
    """Nobody waits behind it. All else gives up in the time that compose.yaml sets."""
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("users")
    env = {**on_this_database(), "PGOPTIONS": "-c lock_timeout=50ms"}
    try:
        MigrationExecutor(connection).migrate([("users", "0001_initial")])
        with psycopg.connect(str(env["DATABASE_URL"])) as old:
            old.execute("LOCK TABLE users_user IN ROW EXCLUSIVE MODE")
            process = manage_process(env, "migrate", "users", "0002_segment_indexes", ready="")
            with process:
                wait_until(_builds_wait, timeout=60, what="the build of the index")
                time.sleep(1)
                assert _builds_wait(), process.log()
                old.rollback()
                wait_until(lambda: not process.running, timeout=60, what="the end of it")
            assert process.exit_code == 0, process.log()
    finally:
        MigrationExecutor(connection).migrate(latest)


def _builds_wait() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
        )
        return cursor.fetchone() is not None


@pytest.mark.production_stack
@pytest.mark.django_db
def test_the_lock_timeout_of_compose_reaches_the_connection() -> None:
    given = services()["migrate"]["environment"]
    assert given["DATABASE_URL"] == services()["web"]["environment"]["DATABASE_URL"]
    show = "from django.db import connection as c; k = c.cursor(); k.execute('SHOW lock_timeout'); print('SHOWN', k.fetchone()[0])"
    env = {**on_this_database(), "PGOPTIONS": given["PGOPTIONS"]}
    done = manage(env, "shell", "--verbosity=0", "--command", show)
    assert done.stdout.strip() == "SHOWN 10s", done.stderr


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_an_interrupted_build_of_an_index_is_done_again() -> None:
    target = ("users", "0002_segment_indexes")
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("users")
    try:
        MigrationExecutor(connection).migrate([("users", "0001_initial")])
        with connection.cursor() as cursor:
            cursor.execute("CREATE INDEX user_email_domain ON users_user (role)")
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'user_email_domain'::regclass"
            )
        MigrationExecutor(connection).migrate([target])
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'user_email_domain'")
            assert "email" in cursor.fetchone()[0]
    finally:
        MigrationExecutor(connection).migrate(latest)
