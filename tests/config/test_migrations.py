"""Migrations that a running site survives: linted on PostgreSQL, and indexes that nobody waits for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django_migration_linter import MigrationLinter

from tests.services.processes import ROOT

FIRST_LINTED = {"featureflags": 17, "users": 4}
"""The first migration of each app that ran on a site with users. Those before made the tables."""
LARGE = {"user", "outboxevent", "historyentry", "historymember", "segmentmember"}
"""Models whose tables grow with users or with writes."""


def migrations() -> list[Path]:
    return [
        path for app in FIRST_LINTED for path in sorted((ROOT / app / "migrations").glob("0*.py"))
    ]


def is_linted(path: Path) -> bool:
    return int(path.name[:4]) >= FIRST_LINTED[path.parent.parent.name]


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
def test_no_new_migration_breaks_the_release_that_runs() -> None:
    names = [path.stem for path in migrations() if is_linted(path)]
    if not names:
        pytest.skip("no migration is new since the last release")
    linter = MigrationLinter(
        str(ROOT), include_apps=list(FIRST_LINTED), include_name=names, no_cache=True, quiet=["ok"]
    )
    linter.lint_all_migrations()
    assert not linter.has_errors


@pytest.mark.production_stack
@pytest.mark.django_db
def test_the_linter_finds_what_would_break_it() -> None:
    """The migration that renamed tables: a release before it would not find them."""
    linter = MigrationLinter(
        str(ROOT),
        include_apps=["featureflags"],
        include_name=["0013_history_entries"],
        no_cache=True,
        no_output=True,
    )
    linter.lint_all_migrations()
    assert linter.has_errors


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
