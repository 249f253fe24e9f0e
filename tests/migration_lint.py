"""Migrations that the running release would not survive: `python -m tests.migration_lint`, in `make check`.

django-migration-linter reads the SQL for PostgreSQL of each migration that is new since the last release.
Where none is new it takes no time; else a PostgreSQL is started for it, which takes about 5 seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import django
from django_migration_linter import MigrationLinter

from tests.services.postgres import postgres_server
from tests.services.processes import ROOT

FIRST_LINTED = {"featureflags": 17, "users": 4}
"""The first migration of each app that ran on a site with users. Those before made the tables."""
ACCEPTED = {
    # Of a column that the release before does not write, for rows that it never makes.
    "0018_kinds_of_segments": ["ADD_UNIQUE"],
}
"""What the linter refuses and a running release survives, by migration."""
HERE = "--here"
"""On the database of this process's settings."""


def migrations() -> list[Path]:
    """All of this project, by app and number."""
    return [
        path for app in FIRST_LINTED for path in sorted((ROOT / app / "migrations").glob("0*.py"))
    ]


def new_migrations() -> list[str]:
    """The names of those that are linted."""
    return [
        path.stem
        for path in migrations()
        if int(path.name[:4]) >= FIRST_LINTED[path.parent.parent.name]
    ]


def is_safe(names: Sequence[str], *, quiet: bool = False) -> bool:
    """Lint them on PostgreSQL; prints what is wrong, unless `quiet`."""
    unsafe = [name for name in names if not _lints(name, quiet=quiet)]
    return not unsafe


def _lints(name: str, *, quiet: bool) -> bool:
    linter = MigrationLinter(
        str(ROOT),
        include_apps=list(FIRST_LINTED),
        include_name=[name],
        exclude_migration_tests=ACCEPTED.get(name, []),
        no_cache=True,
        quiet=["ok", "ignore"],
        no_output=quiet,
    )
    linter.lint_all_migrations()
    return not linter.has_errors


def main(argv: Sequence[str]) -> int:
    names = list(argv[1:] if argv[:1] == [HERE] else argv) or new_migrations()
    if not names:
        print("No migration is new since the last release.")
        return 0
    if argv[:1] == [HERE]:
        django.setup()
        return 0 if is_safe(names) else 1
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings.testing", "GUIDON_IGNORE_DOTENV": "1"}
    with postgres_server() as server:
        environment = {**os.environ, **settings, "DATABASE_URL": server.url}
        command = [sys.executable, "-m", "tests.migration_lint", HERE, *names]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
