"""`import_segments`: write the segments of a JSON file, all of them or none."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.editing import (
    Approval,
    Examination,
    NotImportable,
    change_in_words,
    flag_effects,
    import_remarks,
    import_segments,
    why_in_words,
)
from featureflags.kinds.registry import user_kind
from featureflags.management.arguments import as_json, read_json
from featureflags.management.command import FlagCommand

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
an approval: --propose with --author proposes it, and writes the others; --emergency with --note
writes it at once, marked in the history.

  manage.py import_segments segments.json --propose --author ada@example.com --note "From staging"
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="JSON with an object “segments”")
        parser.add_argument("--dry-run", action="store_true", help="write nothing")
        parser.add_argument(
            "--confirm",
            action="store_true",
            help="write changes that must be confirmed, without asking",
        )
        parser.add_argument(
            "--confirm-key",
            action="append",
            default=[],
            metavar="KEY",
            help="a segment that may be deactivated while flags target it; can be repeated",
        )
        parser.add_argument("--note", default="", help="why, for the history")
        parser.add_argument(
            "--propose", action="store_true", help="propose the changes that need an approval"
        )
        parser.add_argument(
            "--author",
            default="",
            metavar="USER",
            help="who proposes them: an e-mail address or a key",
        )
        parser.add_argument(
            "--emergency", action="store_true", help="write without the approval that it needs"
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_true", help="never ask, refuse instead"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        approval = _approval(options)
        document = read_json(options["file"])
        planned = self._import(document, dry_run=True)
        remarks = import_remarks(document)
        if options["json"]:
            written = not options["dry_run"] and self._write(document, planned, options, approval)
            shown = {"written": written, "segments": _as_data(planned), "remarks": remarks}
            self.stdout.write(as_json(shown))
            return
        for remark in remarks:
            self.stdout.write(remark)
        for one in planned:
            self._show(one)
        written = options["dry_run"] or self._write(document, planned, options, approval)
        done = "would change" if options["dry_run"] else "changed"
        if written:
            self.stdout.write(f"{len(planned)} of {_number_in(document)} segments {done}.")

    def _write(
        self,
        document: object,
        planned: list[Examination],
        options: dict[str, Any],
        approval: Approval | None,
    ) -> bool:
        """False if somebody answered no. Raises CommandError."""
        if not planned:
            return True
        proposes = approval is not None and not approval.is_emergency
        asking = [
            each
            for each in planned
            # What is proposed is confirmed by the person who approves it.
            if each.needs_confirmation and not (proposes and each.needs_approval)
        ]
        left = _unconfirmed(asking, confirm=options["confirm"], keys=options["confirm_key"])
        if left and (options["no_input"] or options["json"] or not sys.stdin.isatty()):
            raise CommandError(_refusal(left))
        if not all(self._ask(one) for one in left):
            self.stdout.write("Nothing was imported.")
            return False
        self._import(document, note=options["note"], expected=planned, approval=approval)
        return True

    def _import(self, document: object, **options: Any) -> list[Examination]:
        try:
            return import_segments(document, **options)
        except NotImportable as error:
            lines = "".join(f"\n  {problem}" for problem in error.problems)
            raise CommandError(f"Nothing was imported:{lines}") from error

    def _show(self, one: Examination) -> None:
        self.stdout.write(one.key)
        for line in change_in_words(one.change, with_addresses=False):
            self.stdout.write(f"  {line}")
        moved = one.moved
        least = "at least " if moved.at_least else ""
        self.stdout.write(
            f"  users entering: {least}{moved.entering:,}, leaving: {least}{moved.leaving:,}"
        )
        for sentence in why_in_words(one):
            self.stdout.write(f"  ! {sentence}")
        effects = flag_effects(one)
        for line in () if effects is None else effects.lines:
            self.stdout.write(f"  {line}")
        if one.needs_approval:
            self.stdout.write("  ! Somebody else must approve it: see --propose.")

    def _ask(self, one: Examination) -> bool:
        if one.needs_key:
            return input(f"Type the key of the segment to deactivate it ({one.key}): ") == one.key
        return input(f"Change {one.key}? Type yes: ").strip().lower() == "yes"


def _approval(options: dict[str, Any]) -> Approval | None:
    """Raises CommandError for options that do not go together."""
    if options["emergency"]:
        if options["propose"] or not options["note"].strip():
            raise CommandError("--emergency needs --note, and does not go with --propose.")
        return Approval(is_emergency=True)
    if not options["propose"]:
        return None
    author = user_kind().find(options["author"]) if options["author"] else None
    if author is None:
        raise CommandError("--propose needs --author: the e-mail address or the key of a user.")
    return Approval(author=author)


def _as_data(planned: Collection[Examination]) -> list[dict[str, Any]]:
    return [
        {
            "key": one.key,
            "changes": list(change_in_words(one.change, with_addresses=False)),
            "entering": one.moved.entering,
            "leaving": one.moved.leaving,
            "at_least": one.moved.at_least,
            "confirm": list(why_in_words(one)),
            "needs_approval": one.needs_approval,
        }
        for one in planned
    ]


def _unconfirmed(
    asking: Collection[Examination], *, confirm: bool, keys: Collection[str]
) -> list[Examination]:
    return [one for one in asking if not (one.key in keys if one.needs_key else confirm)]


def _refusal(left: Collection[Examination]) -> str:
    lines = [f"\n  {one.key}: {sentence}" for one in left for sentence in why_in_words(one)]
    wanted = ["--confirm"] if any(not one.needs_key for one in left) else []
    wanted += [f"--confirm-key {one.key}" for one in left if one.needs_key]
    return f"Nothing was imported. To import it anyway: {' '.join(wanted)}{''.join(lines)}"


def _number_in(document: object) -> int:
    return len(document["segments"]) if isinstance(document, dict) else 0
