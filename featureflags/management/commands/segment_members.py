"""`segment_members`: who is in a segment."""

from __future__ import annotations

import csv
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.kinds.registry import kind_named
from featureflags.kinds.segmentation import resolver
from featureflags.management.arguments import KEY_HELP, ruleset_with_segment
from featureflags.management.command import FlagCommand

ROWS_AT_ONCE = 2_000

HELP = """\
List the users who are in a segment now, by e-mail address; or the rows of the segment's kind.

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
        how.add_argument(
            "--csv", action="store_true", help="as CSV: key, title, name and what the kind lists"
        )
        parser.add_argument("--limit", type=_limit, metavar="N", help="at most so many of them")

    def handle(self, *_args: Any, **options: Any) -> None:
        found = ruleset_with_segment(options["key"]).definitions[options["key"]]
        kind = kind_named(found.kind)
        if kind is None:
            raise CommandError(f"No app declares the kind {found.kind!r}.")
        members = resolver().members(kind.rows(), options["key"], None).order_by(kind.title)
        if options["limit"] is not None:
            members = members[: options["limit"]]
        if options["count"]:
            self.stdout.write(str(members.count()))
            return
        if options["csv"]:
            writer = csv.writer(self.stdout, lineterminator="\n")
            writer.writerow(kind.columns)
            for user in kind.iterated(members, ROWS_AT_ONCE):
                writer.writerow(kind.cells(user))
        else:
            for user in kind.iterated(members, ROWS_AT_ONCE):
                self.stdout.write(f"{user.key}  {kind.title_of(user)}")


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of users")
    return int(text)
