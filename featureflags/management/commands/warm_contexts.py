"""`warm_contexts`: put users into the cache before they come."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from featureflags.conf import app_settings
from featureflags.management.reading import as_json
from featureflags.warming import users_to_warm, warm

HELP = """\
Put the users who were seen lately into the cache, so that their next flag asks no database, and
the rules, so that a process can start without one. Users who are there begin their time anew.
Exits with 1 if the cache did not take all of them.

  manage.py warm_contexts                     those of the last WARM_ACTIVE_DAYS days
  manage.py warm_contexts --active-within 30
  manage.py warm_contexts --all --json
"""


class Command(BaseCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        whom = parser.add_mutually_exclusive_group()
        whom.add_argument(
            "--active-within",
            type=_days,
            metavar="DAYS",
            help=f"active users seen within DAYS of 24 hours (now {app_settings().warm_active_days})",
        )
        whom.add_argument("--all", action="store_true", help="every user, inactive ones included")
        parser.add_argument("--json", action="store_true", help="JSON instead of text")

    def handle(self, *_args: Any, **options: Any) -> None:
        users = users_to_warm(options["active_within"], everyone=options["all"])
        try:
            # `disable=None`: a bar on a terminal, and nothing anywhere else.
            with tqdm(total=users.count(), unit=" users", disable=None, file=self.stderr) as bar:
                warmed = warm(users, bar.update)
        except DatabaseError as error:
            raise CommandError(f"The database failed: {type(error).__name__}.") from error
        self.stdout.write(as_json(warmed.to_dict()) if options["json"] else str(warmed))
        if not warmed.succeeded:
            raise CommandError("Not all users, or not the rules, are in the cache.")


def _days(text: str) -> float:
    """A number of days above zero, and not beyond what a date can hold."""
    days = float(text)
    if not 0 < days <= 36_500:
        raise ValueError(text)
    return days
