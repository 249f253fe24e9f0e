"""`promote_segments`: segments compared with another installation, and carried there or from there."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.editing import (
    Approval,
    NotImportable,
    import_segments,
)
from featureflags.editing.installations import (
    Difference,
    Installation,
    InstallationError,
    compare,
    connected,
    examine_there,
    problem_of,
    pull_document,
    push,
    refuse_problems,
    send,
)
from featureflags.kinds.registry import kinds, user_kind
from featureflags.management.arguments import as_json
from featureflags.management.command import FlagCommand
from featureflags.management.promote_output import (
    difference_as_data,
    examined_here,
    examined_there,
    in_words,
    local_as_data,
    remote_as_data,
)

HELP = """\
Compare segments with another installation of Guidon, and carry them there or from there. The setting
INSTALLATIONS holds its name, the address of its REST API, and an API key with the scope to write.

  manage.py promote_segments staging                      what differs; nothing is written
  manage.py promote_segments staging --to beta paying     write these two there
  manage.py promote_segments staging --from beta          write this one here
  manage.py promote_segments staging --to --all --confirm --note "Release 12"

All of the segments are written, or none. First the side that is written to says what would change, who enters
and leaves, and which of its flags use the segment. On a terminal the command then asks; otherwise --confirm
writes what must be confirmed, and --confirm-key names a segment that may be deactivated while flags target it.

Where the side that is written to asks for approvals (APPROVE_LIVE_SEGMENTS), a change of a segment which a flag
uses that is on becomes a proposal there. Here, --author says who proposes it.

With --members the list of members by name and the owner are carried too: the list there becomes that of here.
People are found by e-mail address, rows of other kinds by their title. Who is nobody on the other side is left
out, and named. Exits with 1 where nothing could be compared, and where a write was refused.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True
    _typed: Collection[str] = ()
    """Keys that were typed on the terminal."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("installation", metavar="NAME", help="a name of INSTALLATIONS")
        parser.add_argument("segments", nargs="*", metavar="SEGMENT", help="keys of segments")
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--to", action="store_true", help="write there what is here")
        way.add_argument(
            "--from", action="store_true", dest="from_there", help="write here what is there"
        )
        parser.add_argument(
            "--members", action="store_true", help="with members by name and owners"
        )
        parser.add_argument(
            "--author",
            default="",
            metavar="USER",
            help="who proposes here what needs an approval: an e-mail address or a key",
        )
        parser.add_argument("--all", action="store_true", help="all that differ")
        parser.add_argument("--dry-run", action="store_true", help="examine, and write nothing")
        parser.add_argument("--confirm", action="store_true", help="write without asking")
        parser.add_argument(
            "--confirm-key",
            action="append",
            default=[],
            metavar="KEY",
            help="a segment that may be deactivated while flags target it; can be repeated",
        )
        parser.add_argument("--note", default="", help="why, for the history")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            other = connected(options["installation"])
            found = compare(other)
            if not (options["to"] or options["from_there"]):
                self._show(found, options)
                return
            chosen = _chosen(found, options)
            refuse_problems(chosen)
            if options["to"]:
                self._push(other, chosen, options)
            else:
                self._pull(chosen, options)
        except InstallationError as error:
            raise CommandError(problem_of(error)) from None

    def _show(self, found: Collection[Difference], options: Mapping[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(
                as_json({"differences": [difference_as_data(each) for each in found]})
            )
            return
        for each in found:
            self._print(in_words(each))
        self.stdout.write(f"{len(found)} segments differ.")

    def _push(
        self, other: Installation, chosen: list[Difference], options: Mapping[str, Any]
    ) -> None:
        with_members: bool = options["members"]
        named = [kind.name for kind in kinds()]
        sent = send([each.key for each in chosen], named, with_members=with_members)
        examined = examine_there(other, sent, with_members=with_members)
        if not options["json"]:
            self._print(examined_there(other.name, examined))
        asked = [
            (one.key, one.needs_key, bool(one.reasons))
            for one in examined.segments
            if not one.needs_approval
        ]
        is_written = False
        if examined.segments and not options["dry_run"] and self._may_write(asked, options):
            keys = [*options["confirm_key"], *self._typed]
            push(
                other,
                sent,
                with_members=with_members,
                token=examined.token,
                keys=keys,
                note=options["note"],
            )
            is_written = True
        proposed = examined.proposed if is_written else []
        written = [one.key for one in examined.segments if is_written and not one.needs_approval]
        if options["json"]:
            shown = [remote_as_data(one) for one in examined.segments]
            done = {"written": written, "proposed": proposed, "left_out": [*examined.left_out]}
            self.stdout.write(as_json({"segments": shown, **done}))
            return
        self.stdout.write(f"{len(written)} of {len(examined.segments)} segments written.")
        if proposed:
            self.stdout.write(f"Proposed in {other.name}: {', '.join(proposed)}.")

    def _pull(self, chosen: list[Difference], options: Mapping[str, Any]) -> None:
        document = pull_document(chosen, with_members=options["members"])
        left_out = [
            f"{each.key}: {line}"
            for each in chosen
            for line in each.left_out.words(with_names=True)
            if options["members"]
        ]
        try:
            planned = import_segments(document, dry_run=True)
            if not options["json"]:
                for one in planned:
                    self._print(examined_here(one))
                self._print(f"! {line}" for line in left_out)
            proposed = [one.key for one in planned if one.needs_approval]
            asked = [
                (one.key, one.needs_key, one.needs_confirmation)
                for one in planned
                if not one.needs_approval
            ]
            is_written = not options["dry_run"] and self._may_write(asked, options)
            if is_written:
                approval = _approval(options["author"], proposed)
                note = options["note"]
                import_segments(document, note=note, expected=planned, approval=approval)
        except NotImportable as error:
            lines = "".join(f"\n  {problem}" for problem in error.problems)
            raise CommandError(f"Nothing was written:{lines}") from error
        proposed = proposed if is_written else []
        if options["json"]:
            shown = [local_as_data(one) for one in planned]
            done = {"written": is_written, "proposed": proposed, "left_out": left_out}
            self.stdout.write(as_json({"segments": shown, **done}))
            return
        number = len(planned) - len(proposed) if is_written else 0
        self.stdout.write(f"{number} of {len(planned)} segments written.")
        if proposed:
            self.stdout.write(f"Proposed here: {', '.join(proposed)}.")

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)

    def _may_write(
        self, asked: Collection[tuple[str, bool, bool]], options: Mapping[str, Any]
    ) -> bool:
        """False if somebody answered no. `asked`: key, whether it must be typed, whether to confirm.

        Raises CommandError where nobody can be asked.
        """
        keys = [key for key, needs_key, _must in asked if needs_key]
        left = [key for key in keys if key not in options["confirm_key"]]
        others = [key for key, needs_key, must in asked if must and not needs_key]
        if options["confirm"]:
            others = []
        if not left and (options["confirm"] or not sys.stdin.isatty()) and not others:
            return True
        if options["json"] or not sys.stdin.isatty():
            wanted = [*(["--confirm"] if others else []), *(f"--confirm-key {key}" for key in left)]
            raise CommandError(f"Nothing was written. To write it: {' '.join(wanted)}")
        if not all(input(f"Type the key to confirm ({key}): ") == key for key in left):
            return False
        self._typed = left
        return bool(options["confirm"]) or input("Write it? Type yes: ").strip().lower() == "yes"


def _approval(author: str, proposed: Collection[str]) -> Approval | None:
    """Raises CommandError where nobody is named who proposes."""
    if not proposed:
        return None
    user = user_kind().find(author) if author else None
    if user is None:
        raise CommandError(
            f"Nothing was written. A flag that is on uses {', '.join(proposed)}: somebody must approve"
            " it. --author with an e-mail address or a key says who proposes it."
        )
    return Approval(author=user)


def _chosen(found: Collection[Difference], options: Mapping[str, Any]) -> list[Difference]:
    """Raises CommandError for a key that does not differ, or is not on the side that is read."""
    differ = {each.key: each for each in found}
    keys: list[str] = options["segments"]
    if options["all"] == bool(keys):
        raise CommandError("Name the segments, or write --all.")
    side = "here" if options["to"] else "there"
    if options["all"]:
        return [
            each
            for each in found
            if getattr(each, side) is not None
            and (options["members"] or not each.is_of_members_only)
        ]
    for key in keys:
        if key not in differ:
            raise CommandError(f"{key!r} does not differ.")
        if getattr(differ[key], side) is None and not differ[key].problems:
            raise CommandError(f"There is no segment {key!r} {side}.")
    return [differ[key] for key in keys]
