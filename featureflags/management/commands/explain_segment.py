"""`explain_segment`: why a user is in a segment, or not. Read-only."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.contexts.attributes import attributes_of, clocks_of
from featureflags.core.times import now_in_microseconds, to_rfc3339
from featureflags.management.arguments import (
    KEY_HELP,
    ROW_HELP,
    as_json,
    row_named,
    ruleset_with_segment,
)
from featureflags.management.command import FlagCommand
from featureflags.segments.explain import explain
from featureflags.segments.next_change import next_change

HELP = """\
Explain why a user, or another row, is in a segment, or not: each rule, each condition, and what was seen.

  manage.py explain_segment employee ada@agpt.co
  manage.py explain_segment employee ada@agpt.co --json | jq .verdict
  manage.py explain_segment large_companies organization:acme
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", help=KEY_HELP)
        parser.add_argument("user", metavar="EMAIL_OR_ID", help=ROW_HELP)

    def handle(self, *_args: Any, **options: Any) -> None:
        kind, row = row_named(options["user"])
        ruleset = ruleset_with_segment(options["key"])
        wanted = ruleset.definitions[options["key"]].kind
        if wanted != kind.name:
            raise CommandError(
                f"The segment {options['key']!r} is on the kind {wanted!r}: write {wanted}:KEY."
            )
        now = now_in_microseconds()
        snapshot = kind.snapshot_of(row)
        attributes = attributes_of(snapshot, now)
        explanation = explain(ruleset, options["key"], attributes, now=now)
        changes_at = next_change(
            ruleset,
            attributes,
            clocks_of(snapshot),
            now=now,
            segment_keys=[options["key"]],
            kind=kind.name,
        )
        until = None if changes_at is None else to_rfc3339(changes_at)
        if options["json"]:
            self.stdout.write(as_json({**explanation.to_dict(), "next_change": until}))
            return
        for line in explanation.lines():
            self.stdout.write(line)
        ends = "until a write changes it" if until is None else f"until {until} at least"
        self.stdout.write(f"It holds {ends}.")
