"""`import_segments`: write the segments of a JSON file, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from featureflags.editing import Examination, NotImportable, import_remarks, import_segments
from featureflags.management.arguments import as_json, read_json
from featureflags.management.command import FlagCommand
from featureflags.management.segment_writes import (
    add_write_options,
    approval_of,
    asked_here,
    confirmed,
    examined_as_data,
    examined_in_words,
    not_written,
)

HELP = """\
Create and change segments from a JSON file, as export_segments or LaunchDarkly's file data
source writes it. All of it is written, or nothing; segments that the file does not name stay as
they are. The output lists what changes, and how many users enter and leave. E-mail addresses, their
domains and keys in rules are written in lower case, as users have them; each such change is named.

  manage.py import_segments segments.json --dry-run
  manage.py import_segments segments.json
  manage.py import_segments segments.json --confirm --confirm-key beta --note "End of the beta"

A change that moves many users (CONFIRM_PERCENT, CONFIRM_USERS), or of a segment that a flag uses
which is on, needs --confirm. To deactivate a segment that a flag targets needs --confirm-key with
its key. On a terminal the command asks instead, but not with --json.

Where APPROVE_LIVE_SEGMENTS is on, a change that moves users of a segment which a flag uses that is on needs
an approval: --author proposes it, and writes the others; --emergency with --note writes it at once,
marked in the history.

  manage.py import_segments segments.json --author ada@example.com --note "From staging"
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="JSON with an object “segments”")
        add_write_options(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        approval_of(options)
        document = read_json(options["file"])
        planned = self._import(document, dry_run=True)
        remarks = import_remarks(document)
        if not options["json"]:
            for line in (*remarks, *(line for one in planned for line in examined_in_words(one))):
                self.stdout.write(line)
        is_written = not options["dry_run"] and self._write(document, planned, options)
        if options["json"]:
            shown = [examined_as_data(one) for one in planned]
            said = {"written": is_written, "segments": shown, "remarks": remarks}
            self.stdout.write(as_json(said))
        elif is_written or options["dry_run"]:
            done = "would change" if options["dry_run"] else "changed"
            self.stdout.write(f"{len(planned)} of {_number_in(document)} segments {done}.")
        else:
            self.stdout.write("Nothing was written.")

    def _write(
        self, document: object, planned: list[Examination], options: Mapping[str, Any]
    ) -> bool:
        """False if somebody answered no. Raises CommandError."""
        approval = approval_of(options, planned)
        if confirmed(asked_here(planned, approval), options) is None:
            return False
        if planned:
            self._import(document, note=options["note"], expected=planned, approval=approval)
        return True

    def _import(self, document: object, **options: Any) -> list[Examination]:
        try:
            return import_segments(document, **options)
        except NotImportable as error:
            raise not_written(error) from error


def _number_in(document: object) -> int:
    return len(document["segments"]) if isinstance(document, dict) else 0
