"""`promote_segments`: segments compared with another installation, and promoted there or from there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.editing import NotImportable
from featureflags.editing.installations import (
    Difference,
    Installation,
    InstallationError,
    Pull,
    Push,
    compare,
    connected,
    problem_of,
    refuse_problems,
)
from featureflags.kinds.registry import kinds
from featureflags.management.arguments import as_json
from featureflags.management.command import FlagCommand
from featureflags.management.promote_output import (
    asked_there,
    difference_as_data,
    examined_there,
    in_words,
    remote_as_data,
)
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
Compare segments with another installation of Guidon, and promote them there or from there. The setting
INSTALLATIONS holds its name, the address of its REST API, and an API key with the scope to write.

  manage.py promote_segments staging                      what differs; nothing is written
  manage.py promote_segments staging --to beta paying     write these two there
  manage.py promote_segments staging --from beta          write this one here
  manage.py promote_segments staging --to --all --confirm --note "Release 12"

All of the segments are written, or none. First the side that is written to says what would change, who enters
and leaves, and which of its flags use the segment. On a terminal the command then asks; otherwise --confirm
writes what must be confirmed, and --confirm-key names a segment that may be deactivated while flags target it.

Where the side that is written to asks for approvals (APPROVE_LIVE_SEGMENTS), a change of a segment which a flag
uses that is on becomes a proposal there. Here, --author says who proposes it, and --emergency with --note writes
it at once, marked in the history.

With --members the list of members by name and the owner are promoted too: the list there becomes that of here.
People are found by e-mail address, rows of other kinds by their title. Who is nobody on the other side is left
out, and named. Exits with 1 where nothing could be compared, and where a write was refused.
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
        parser.add_argument(
            "--members", action="store_true", help="with members by name and owners"
        )
        parser.add_argument("--all", action="store_true", help="all that differ")
        add_write_options(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            other = connected(options["installation"])
            found = compare(other)
            if not (options["to"] or options["from_there"]):
                self._show(found, options)
                return
            chosen = _chosen(found, options)
            refuse_problems(chosen)
            approval_of(options)
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
        if options["author"] or options["emergency"]:
            raise CommandError(
                "--author and --emergency are for --from: there it is the owner of the key."
            )
        named, keys = [kind.name for kind in kinds()], [each.key for each in chosen]
        push = Push.of(other, keys, named=named, with_members=options["members"])
        examined = push.examine()
        if not options["json"]:
            self._print(examined_there(other.name, examined))
        typed = None
        if examined.segments and not options["dry_run"]:
            typed = confirmed(asked_there(examined), options, always=True)
        if typed is not None:
            given = [*options["confirm_key"], *typed]
            push.write(token=examined.token, keys=given, note=options["note"])
        self._done(
            [one.key for one in examined.segments],
            examined.proposed,
            f"in {other.name}",
            options,
            is_written=typed is not None,
            segments=[remote_as_data(one) for one in examined.segments],
            left_out=[*examined.left_out],
        )

    def _pull(self, chosen: list[Difference], options: Mapping[str, Any]) -> None:
        pull = Pull.of(chosen, with_members=options["members"])
        left_out = pull.left_out(sees=[kind.name for kind in kinds()])
        is_written = False
        try:
            planned = pull.examine()
            if not options["json"]:
                self._print(line for one in planned for line in examined_in_words(one))
                self._print(f"! {line}" for line in left_out)
            approval = approval_of(options, planned)
            if planned and not options["dry_run"]:
                asked = asked_here(planned, approval)
                is_written = confirmed(asked, options, always=True) is not None
            if is_written:
                pull.write(planned, note=options["note"], approval=approval)
        except NotImportable as error:
            raise not_written(error) from error
        proposes = approval is not None and not approval.is_emergency
        self._done(
            [one.key for one in planned],
            [one.key for one in planned if proposes and one.needs_approval],
            "here",
            options,
            is_written=is_written,
            segments=[examined_as_data(one) for one in planned],
            left_out=left_out,
        )

    def _done(
        self,
        keys: Sequence[str],
        proposed: Sequence[str],
        where: str,
        options: Mapping[str, Any],
        *,
        is_written: bool,
        **shown: Any,
    ) -> None:
        proposed = proposed if is_written else []
        written = [key for key in keys if is_written and key not in proposed]
        if options["json"]:
            self.stdout.write(as_json({**shown, "written": written, "proposed": proposed}))
            return
        self.stdout.write(f"{len(written)} of {len(keys)} segments written.")
        if proposed:
            self.stdout.write(f"Proposed {where}: {', '.join(proposed)}.")

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


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
        if not differ[key].may_go(to_there=options["to"]):
            raise CommandError(f"There is no segment {key!r} {side}.")
    return [differ[key] for key in keys]
