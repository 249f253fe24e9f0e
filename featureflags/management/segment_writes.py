"""What the commands that write segments share: options, what a write would do, and who confirms it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.editing import (
    Approval,
    Examination,
    NotImportable,
    change_in_words,
    flag_effects,
    why_in_words,
)
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import user_kind


def add_write_options(parser: CommandParser) -> None:
    """The options by which people confirm a write, or have it proposed."""
    parser.add_argument("--dry-run", action="store_true", help="examine, and write nothing")
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
        "--author",
        default="",
        metavar="USER",
        help="who proposes what needs an approval: an e-mail address or a key",
    )
    parser.add_argument(
        "--emergency", action="store_true", help="write without the approval that it needs"
    )
    parser.add_argument(
        "--no-input", "--noinput", action="store_true", help="never ask, refuse instead"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One segment whose change may have to be confirmed."""

    key: str
    needs_key: bool
    why: Sequence[str]
    """Empty: it need not be confirmed."""


def asked_here(planned: Collection[Examination], approval: Approval | None) -> list[Asked]:
    """What must be confirmed of a write here; what is proposed is confirmed by the person who approves it."""
    proposes = approval is not None and not approval.is_emergency
    return [
        Asked(key=one.key, needs_key=one.needs_key, why=list(why_in_words(one)))
        for one in planned
        if one.needs_confirmation and not (proposes and one.needs_approval)
    ]


def confirmed(
    asked: Collection[Asked], options: Mapping[str, Any], *, always: bool = False
) -> frozenset[str] | None:
    """The keys that were typed on the terminal; None: somebody answered no.

    `always`: ask on a terminal also where nothing must be confirmed. Raises CommandError where nobody can be
    asked.
    """
    left = [one for one in asked if one.why and not _is_given(one, options)]
    may_ask = sys.stdin.isatty() and not (options["json"] or options["no_input"])
    if left and not may_ask:
        raise CommandError(_refusal(left))
    if not left and always and may_ask and not options["confirm"]:
        return frozenset() if _says_yes("Write it?") else None
    if not all(map(_is_answered, left)):
        return None
    return frozenset(one.key for one in left if one.needs_key)


def _is_given(one: Asked, options: Mapping[str, Any]) -> bool:
    return one.key in options["confirm_key"] if one.needs_key else bool(options["confirm"])


def _refusal(left: Collection[Asked]) -> str:
    wanted = ["--confirm"] if any(not one.needs_key for one in left) else []
    wanted += [f"--confirm-key {one.key}" for one in left if one.needs_key]
    lines = [f"\n  {one.key}: {sentence}" for one in left for sentence in one.why]
    return f"Nothing was written. To write it: {' '.join(wanted)}{''.join(lines)}"


def _is_answered(one: Asked) -> bool:
    if one.needs_key:
        return input(f"Type the key of the segment to confirm ({one.key}): ") == one.key
    return _says_yes(f"Change {one.key}?")


def _says_yes(question: str) -> bool:
    return input(f"{question} Type yes: ").strip().lower() == "yes"


def approval_of(
    options: Mapping[str, Any], planned: Collection[Examination] = ()
) -> Approval | None:
    """How a write here is approved. Raises CommandError for options that do not go together, and where an
    approval is needed and nobody proposes."""
    if options["emergency"]:
        if options["author"] or not options["note"].strip():
            raise CommandError("--emergency needs --note, and does not go with --author.")
        return Approval(is_emergency=True)
    if options["author"]:
        user = user_kind().find(options["author"])
        if user is None:
            raise CommandError(f"--author: there is no user {options['author']!r}.")
        return Approval(author=user)
    needed = [one.key for one in planned if one.needs_approval]
    if needed and not options["dry_run"]:
        raise CommandError(
            f"Nothing was written. A flag that is on uses {', '.join(needed)}: somebody must approve it."
            " --author with an e-mail address or a key says who proposes it."
        )
    return None


def not_written(error: NotImportable) -> CommandError:
    """With each problem on a line."""
    lines = "".join(f"\n  {problem}" for problem in error.problems)
    return CommandError(f"Nothing was written:{lines}")


def examined_in_words(one: Examination) -> Iterator[str]:
    """What a write here would do to one segment."""
    yield one.key
    for line in change_in_words(one.change, with_addresses=False):
        yield f"  {line}"
    least = "at least " if one.moved.at_least else ""
    rows = noun(one.change.state.kind)
    yield f"  {rows} entering: {least}{one.moved.entering:,}, leaving: {least}{one.moved.leaving:,}"
    yield from (f"  ! {sentence}" for sentence in why_in_words(one))
    effects = flag_effects(one)
    yield from (f"  {line}" for line in (() if effects is None else effects.lines))
    if one.needs_approval:
        yield "  ! becomes a proposal: somebody else must approve it"


def examined_as_data(one: Examination) -> dict[str, Any]:
    return {
        "key": one.key,
        "changes": list(change_in_words(one.change, with_addresses=False)),
        "entering": one.moved.entering,
        "leaving": one.moved.leaving,
        "at_least": one.moved.at_least,
        "flags": list(one.flags),
        "confirm": list(why_in_words(one)),
        "needs_approval": one.needs_approval,
    }
