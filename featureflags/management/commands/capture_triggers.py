"""`capture_triggers`: print, install, remove or check the triggers that see every write."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from featureflags.capture import installation
from featureflags.capture.installation import Problem
from featureflags.core.database import is_away
from featureflags.management.command import FlagCommand

HELP = """\
Database triggers notice every write that changes a cached user, a segment or a member: by Django,
psql or another program. `migrate` installs them. Where the application may not create
triggers, the owner of the tables runs what --sql prints:

  manage.py capture_triggers --sql | psql -U owner guidon
  manage.py capture_triggers --check
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="its alias")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--sql", action="store_true", help="print the statements; change nothing")
        what.add_argument(
            "--install",
            action="store_true",
            help="install what is missing or old, and remove what only another release needs",
        )
        what.add_argument("--remove", action="store_true", help="remove all of them")
        what.add_argument(
            "--check",
            action="store_true",
            help="name what is missing, old, disabled or fails; exit code 1 if anything",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if not installation.is_supported(connection):
            raise CommandError("Triggers need PostgreSQL or SQLite.")
        try:
            if options["sql"]:
                self._print(connection)
            elif options["install"]:
                written = installation.install(connection)
                self.stdout.write(f"{len(written)} triggers installed; the others were in place.")
            elif options["remove"]:
                removed = installation.remove(connection)
                self.stdout.write(f"{len(removed)} triggers removed.")
            else:
                self._check(connection)
        except DatabaseError as error:
            if is_away(error):
                raise
            raise CommandError(
                f"{str(error).strip()}\nNothing was changed. The triggers belong to the owner of the "
                "tables: run this as the owner, or have the owner run what --sql prints."
            ) from error

    def _print(self, connection: BaseDatabaseWrapper) -> None:
        for statement in installation.statements(connection):
            self.stdout.write(f"{statement};\n")

    def _check(self, connection: BaseDatabaseWrapper) -> None:
        found: list[Problem] = installation.problems(connection)
        found += installation.self_test(connection)
        for problem in found:
            self.stdout.write(str(problem))
        if found:
            raise CommandError(f"{len(found)} problems: some writes are not seen.")
        self.stdout.write("Every write is seen.")
        if installation.has_leftovers(connection):
            self.stdout.write(
                "Another release watches more. Once no process of it is left, remove that: "
                "manage.py capture_triggers --install"
            )
