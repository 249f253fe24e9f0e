"""`import_segments`: write the segments of a JSON file, all of them or none."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from featureflags.documents import NotImportable
from featureflags.importing import import_segments
from featureflags.management.segments import read_json

HELP = """\
Create and change segments from a JSON file: what export_segments writes, or the file of
LaunchDarkly's file data source. All of it is written, or nothing; segments that the file does
not name stay. It says what changes, and how many users enter and leave.

  manage.py import_segments segments.json --dry-run
  manage.py import_segments segments.json
"""


class Command(BaseCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("file", metavar="FILE", help="JSON with an object “segments”")
        parser.add_argument("--dry-run", action="store_true", help="write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        document = read_json(options["file"])
        try:
            changes = import_segments(document, dry_run=options["dry_run"])
        except NotImportable as error:
            lines = "".join(f"\n  {problem}" for problem in error.problems)
            raise CommandError(f"Nothing was imported:{lines}") from error
        for change in changes:
            self.stdout.write(change.key)
            for line in change.lines:
                self.stdout.write(f"  {line}")
            moved = change.movement
            self.stdout.write(f"  users entering: {moved.entering:,}, leaving: {moved.leaving:,}")
        done = "would change" if options["dry_run"] else "changed"
        self.stdout.write(f"{len(changes)} of {_number_in(document)} segments {done}.")


def _number_in(document: object) -> int:
    return len(document["segments"]) if isinstance(document, dict) else 0
