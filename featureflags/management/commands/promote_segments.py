"""`promote_segments`: segments compared with another installation, and carried there or from there."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.editing import (
    Examination,
    NotImportable,
    change_in_words,
    flag_effects,
    import_segments,
    why_in_words,
)
from featureflags.editing.installations import (
    Difference,
    Installation,
    InstallationError,
    RemoteExamination,
    connected,
    differences,
    examine_there,
    pull_document,
    push,
)
from featureflags.management.arguments import as_json
from featureflags.management.command import FlagCommand

HELP = """\
Compare segments with another installation of Guidon, and carry them there or from there. The setting
INSTALLATIONS holds its name, the address of its REST API, and an API key with the scope to write.

  manage.py promote_segments staging                      what differs; nothing is written
  manage.py promote_segments staging --to beta paying     write these two there
  manage.py promote_segments staging --from beta          write this one here
  manage.py promote_segments staging --to --all --confirm --note "Release 12"

First the side that is written to says what would change, who enters and leaves, and which of its flags use
the segment. On a terminal the command then asks; otherwise --confirm writes what must be confirmed, and
--confirm-key names a segment that may be deactivated while flags target it. Members by name and owners are
not carried over: they are users of their own installation. Exits with 1 where nothing could be compared, and
where a write was refused.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("installation", metavar="NAME", help="a name of INSTALLATIONS")
        parser.add_argument("segments", nargs="*", metavar="SEGMENT", help="keys of segments")
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--to", action="store_true", help="write there what is here")
        way.add_argument(
            "--from", action="store_true", dest="from_there", help="write here what is there"
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
            found = differences(other.segments())
            if not (options["to"] or options["from_there"]):
                self._show(found, options)
                return
            chosen = _chosen(found, options)
            if options["to"]:
                self._push(other, chosen, options)
            else:
                self._pull(chosen, options)
        except InstallationError as error:
            raise CommandError(str(error)) from None

    def _show(self, found: Collection[Difference], options: Mapping[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(as_json({"differences": [_as_data(each) for each in found]}))
            return
        for each in found:
            self.stdout.write(f"{each.key}: {_where(each)}")
            if each.here is not None and each.there is not None:
                for line in each.lines(to_there=True):
                    self.stdout.write(f"  here, against there: {line}")
        self.stdout.write(f"{len(found)} segments differ.")

    def _push(
        self, other: Installation, chosen: list[Difference], options: Mapping[str, Any]
    ) -> None:
        examined = examine_there(other, chosen)
        if not options["json"]:
            for one in examined:
                self._show_remote(one)
        written: dict[str, Any] = {"written": [], "stopped_at": None, "problem": None}
        if not options["dry_run"] and self._may_write(
            [(one.key, one.needs_key, bool(one.reasons)) for one in examined], options
        ):
            done = push(
                other,
                chosen,
                note=options["note"],
                confirms={one.key: _confirm(one, options) for one in examined},
            )
            written = {
                "written": list(done.written),
                "stopped_at": done.stopped_at or None,
                "problem": done.problem or None,
            }
        if options["json"]:
            shown = [_remote_as_data(one) for one in examined]
            self.stdout.write(as_json({"segments": shown, **written}))
        else:
            self.stdout.write(f"{len(written['written'])} of {len(examined)} segments written.")
        if written["problem"]:
            raise CommandError(f"{written['stopped_at']}: {written['problem']}")

    def _pull(self, chosen: list[Difference], options: Mapping[str, Any]) -> None:
        document = pull_document(chosen)
        try:
            planned = import_segments(document, dry_run=True)
            if not options["json"]:
                for one in planned:
                    self._show_local(one)
            is_written = not options["dry_run"] and self._may_write(
                [(one.key, one.needs_key, one.needs_confirmation) for one in planned], options
            )
            if is_written:
                import_segments(document, note=options["note"], expected=planned)
        except NotImportable as error:
            lines = "".join(f"\n  {problem}" for problem in error.problems)
            raise CommandError(f"Nothing was written:{lines}") from error
        if options["json"]:
            shown = [_local_as_data(one) for one in planned]
            self.stdout.write(as_json({"segments": shown, "written": is_written}))
        else:
            number = len(planned) if is_written else 0
            self.stdout.write(f"{number} of {len(planned)} segments written.")

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
        return bool(options["confirm"]) or input("Write it? Type yes: ").strip().lower() == "yes"

    def _show_remote(self, one: RemoteExamination) -> None:
        self.stdout.write(one.key)
        for line in one.lines:
            self.stdout.write(f"  {line}")
        if one.problem:
            self.stdout.write(f"  ! {one.problem}")
            return
        self.stdout.write(f"  users entering there: {one.entering}, leaving: {one.leaving}")
        if one.flags:
            self.stdout.write(f"  ! flags there use it: {', '.join(one.flags)}")

    def _show_local(self, one: Examination) -> None:
        self.stdout.write(one.key)
        for line in change_in_words(one.change, with_addresses=False):
            self.stdout.write(f"  {line}")
        self.stdout.write(
            f"  users entering: {one.moved.entering:,}, leaving: {one.moved.leaving:,}"
        )
        for sentence in why_in_words(one):
            self.stdout.write(f"  ! {sentence}")
        effects = flag_effects(one)
        for line in () if effects is None else effects.lines:
            self.stdout.write(f"  {line}")


def _confirm(one: RemoteExamination, options: Mapping[str, Any]) -> object:
    """The key, where it must be typed, or the token. What could not be examined yet has neither."""
    if one.needs_key:
        return one.key
    return one.token or (True if options["confirm"] else "")


def _chosen(found: Collection[Difference], options: Mapping[str, Any]) -> list[Difference]:
    """Raises CommandError for a key that does not differ, or is not on the side that is read."""
    differ = {each.key: each for each in found}
    keys: list[str] = options["segments"]
    if options["all"] == bool(keys):
        raise CommandError("Name the segments, or write --all.")
    side = "here" if options["to"] else "there"
    if options["all"]:
        return [each for each in found if getattr(each, side) is not None]
    for key in keys:
        if key not in differ:
            raise CommandError(f"{key!r} does not differ.")
        if getattr(differ[key], side) is None:
            raise CommandError(f"There is no segment {key!r} {side}.")
    return [differ[key] for key in keys]


def _where(each: Difference) -> str:
    if each.there is None:
        return "only here"
    return "only there" if each.here is None else "differs"


def _as_data(each: Difference) -> dict[str, Any]:
    lines = each.lines(to_there=True) if each.here is not None and each.there is not None else []
    return {"key": each.key, "is": _where(each), "here_against_there": lines}


def _remote_as_data(one: RemoteExamination) -> dict[str, Any]:
    return {
        "key": one.key,
        "changes": list(one.lines),
        "entering": one.entering,
        "leaving": one.leaving,
        "flags": list(one.flags),
        "reasons": list(one.reasons),
        "problem": one.problem or None,
    }


def _local_as_data(one: Examination) -> dict[str, Any]:
    return {
        "key": one.key,
        "changes": change_in_words(one.change, with_addresses=False),
        "entering": one.moved.entering,
        "leaving": one.moved.leaving,
        "flags": list(one.flags),
        "reasons": [str(reason) for reason in one.reasons],
    }
