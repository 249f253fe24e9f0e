"""`segment_members`: who is in a segment."""

from __future__ import annotations

import csv
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser

from featureflags.management.command import FlagCommand
from featureflags.management.segment_output import KEY_HELP, ruleset_with_segment
from users.models import User

COLUMNS = ("pk", "email", "name", "role", "created_at")
HEADER = ("key", *COLUMNS[1:])
ROWS_AT_ONCE = 2_000

HELP = """\
List the users who are in a segment now, by e-mail address.

  manage.py segment_members employee --limit 20
  manage.py segment_members employee --csv > employees.csv
  manage.py segment_members employee --count
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", help=KEY_HELP)
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--count", action="store_true", help="only how many there are")
        how.add_argument("--csv", action="store_true", help=f"as CSV: {', '.join(HEADER)}")
        parser.add_argument("--limit", type=_limit, metavar="N", help="at most so many users")

    def handle(self, *_args: Any, **options: Any) -> None:
        ruleset_with_segment(options["key"])
        members = User.objects.in_segment(options["key"]).order_by("email")
        if options["limit"] is not None:
            members = members[: options["limit"]]
        if options["count"]:
            self.stdout.write(str(members.count()))
            return
        rows = members.values_list(*COLUMNS).iterator(chunk_size=ROWS_AT_ONCE)
        if options["csv"]:
            writer = csv.writer(self.stdout, lineterminator="\n")
            writer.writerow(HEADER)
            for pk, email, name, role, created_at in rows:
                writer.writerow((pk, email, name, role, created_at.isoformat()))
        else:
            for pk, email, *_ in rows:
                self.stdout.write(f"{pk}  {email}")


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of users")
    return int(text)
