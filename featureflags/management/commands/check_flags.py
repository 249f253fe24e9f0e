"""`check_flags`: compares the flags in the code with LaunchDarkly's, for CI. Read-only."""

from __future__ import annotations

import datetime
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from featureflags.cache import counters
from featureflags.flags.declared import declared_flags
from featureflags.inspection.checks import Facts, Finding, Kind, archived, find_problems
from featureflags.inspection.flag_parsing import RawData
from featureflags.management.arguments import CANNOT_TELL, as_json, launchdarkly_data
from featureflags.management.command import FlagCommand
from featureflags.models import Segment

HELP = """\
Compare the flags that the code declares with those that LaunchDarkly serves. No events are sent.

  missing           declared in the code, not in LaunchDarkly
  archived          declared in the code, archived in LaunchDarkly (needs an API token)
  wrong-type        a variation does not have the declared type
  undeclared        in LaunchDarkly, not declared in the code
  not-evaluated     declared, but not evaluated on the server for --days
  unknown-segment   uses a segment that Django does not have
  misleading        a rule does not do what it seems to: it matches a part of a segment's key,
                    rolls out by a list, or tests an attribute that is never sent

  manage.py check_flags
  manage.py check_flags --days 90 --ignore undeclared --json

Exits with 0 without problems, with 1 if there are some, and with 2 if it could not check.
"""

DAYS = 30


def _days(text: str) -> int:
    most = counters.KEPT_DAYS - 1
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ArgumentTypeError(f"a number of days from 1 to {most}")
    return int(text)


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=_days, default=DAYS, metavar="N", help=f"for not-evaluated ({DAYS})"
        )
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            choices=[kind.value for kind in Kind],
            help="leave out one kind of problem; may be repeated",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        data = launchdarkly_data()
        facts, notes = _facts(data, options["days"])
        found = [each for each in find_problems(data, facts) if each.kind not in options["ignore"]]
        if options["json"]:
            document = {"problems": [each.to_dict() for each in found], "notes": notes}
            self.stdout.write(as_json(document))
        else:
            self._tell(found, notes)
        if found:
            raise CommandError(f"Problems with flags: {len(found)}.", returncode=1)

    def _tell(self, found: list[Finding], notes: list[str]) -> None:
        for each in found:
            self.stdout.write(f"{each.flag} {each.words} [{each.kind.value}]")
        for note in notes:
            self.stdout.write(f"Note: {note}")
        if not found:
            self.stdout.write("All flags fit.")


def _facts(data: RawData, days: int) -> tuple[Facts, list[str]]:
    """What to compare with, and notes on what is unknown. Raises CommandError without a database."""
    declared = declared_flags()
    gone, note = archived(key for key in declared if key not in data.get("flags", {}))
    try:
        segments = frozenset(Segment.objects.values_list("key", flat=True))
    except DatabaseError as error:
        why = "The database does not answer: the segments are not known."
        raise CommandError(why, returncode=CANNOT_TELL) from error
    facts = Facts(
        declared=declared,
        segments=segments,
        archived=gone,
        usage=counters.read_usage(),
        today=datetime.datetime.now(datetime.UTC).date(),
        days=days,
    )
    notes = [] if note is None else [note]
    if facts.usage.failed:
        notes.append("The cache does not answer: which flags are evaluated is not known.")
    elif not facts.counts_long_enough:
        since = facts.usage.since
        began = "nothing was counted yet" if since is None else f"counting began on {since}"
        notes.append(f"Which flags were not evaluated for {days} days is not known: {began}.")
    return facts, notes
