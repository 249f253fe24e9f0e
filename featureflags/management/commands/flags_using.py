"""`flags_using`: which LaunchDarkly flags use a segment, and by which path. Read-only."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from featureflags.inspection.flags_using_segment import Use, uses_of
from featureflags.management.arguments import (
    KEY_HELP,
    as_json,
    launchdarkly_data,
    ruleset_with_segment,
)
from featureflags.management.command import FlagCommand

HELP = """\
Show which flags use a segment: by their own rules, through LaunchDarkly segments, or through
prerequisites. No events are sent to LaunchDarkly.

  manage.py flags_using employee
  manage.py flags_using employee --json

The segment need not exist in Django if a flag names it. Exits with 1 if neither side knows the
segment, and with 2 if LaunchDarkly has not sent any flags.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("segment", metavar="SEGMENT", help=KEY_HELP)

    def handle(self, *_args: Any, **options: Any) -> None:
        key = options["segment"]
        uses = uses_of(key, launchdarkly_data())
        if not any(use.by_name for use in uses):
            ruleset_with_segment(key)
        if options["json"]:
            flags = sorted({use.flag for use in uses})
            uses_json = [use.to_dict() for use in uses]
            self.stdout.write(as_json({"segment": key, "flags": flags, "uses": uses_json}))
            return
        for use in uses:
            self.stdout.write(f"{use.flag}: {use.words}{_remarks(use)}")
        if not uses:
            self.stdout.write(f"No flag targets the segment {key!r}.")


def _remarks(use: Use) -> str:
    remarks = [] if use.live else ["off now"]
    if use.negated:
        remarks.append("those who are not in it")
    if not use.by_name:
        remarks.append("by a part of its key: “in” with the whole key is what you want")
    return f"  ({'; '.join(remarks)})" if remarks else ""
