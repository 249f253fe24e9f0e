"""What `promote_segments` prints: differences, and what a write would do on either side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from featureflags.editing.installations import Difference, Examined, RemoteExamination
from featureflags.management.segment_writes import Asked


def in_words(each: Difference) -> Iterator[str]:
    """A difference, for a terminal."""
    yield f"{each.key}: {where_of(each)}"
    for line in lines_of(each):
        yield f"  here, against there: {line}"
    for line in (*each.problems, *each.left_out.words(with_names=False)):
        yield f"  ! {line}"


def examined_there(name: str, examined: Examined) -> Iterator[str]:
    """What the other side, of this name, says."""
    for one in examined.segments:
        yield one.key
        yield from (f"  {line}" for line in one.lines)
        yield f"  entering there: {one.entering}, leaving: {one.leaving}"
        if one.flags:
            yield f"  ! flags there use it: {', '.join(one.flags)}"
        yield from (f"  {line}" for line in one.effects)
        if one.needs_approval:
            yield f"  ! becomes a proposal in {name}: somebody there must approve it"
    yield from (f"! {line}" for line in examined.left_out)


_WHY: Final = {
    "many": "It moves many there.",
    "uncounted": "There was no time to count all there: it may move many.",
    "flags": "A flag that is on there uses this segment.",
    "disappears": "Flags there use this segment, or no flags are known there, and it disappears.",
}


def asked_there(examined: Examined) -> list[Asked]:
    """What must be confirmed of a write there; what becomes a proposal is confirmed there."""
    return [
        Asked(
            key=one.key,
            needs_key=one.needs_key,
            why=[_WHY.get(reason, reason) for reason in one.reasons],
        )
        for one in examined.segments
        if not one.needs_approval
    ]


def where_of(each: Difference) -> str:
    if each.problems:
        return "cannot be compared"
    if each.there is None:
        return "only here"
    if each.here is None:
        return "only there"
    return "only in members" if each.is_of_members_only else "differs"


def lines_of(each: Difference) -> list[str]:
    if each.here is None or each.there is None or each.problems:
        return []
    return each.lines(to_there=True, with_members=True, with_addresses=False)


def difference_as_data(each: Difference) -> dict[str, Any]:
    return {
        "key": each.key,
        "is": where_of(each),
        "here_against_there": lines_of(each),
        "problems": [*each.problems],
        "left_out": [*each.left_out.words(with_names=False)],
    }


def remote_as_data(one: RemoteExamination) -> dict[str, Any]:
    return {
        "key": one.key,
        "changes": list(one.lines),
        "entering": one.entering,
        "leaving": one.leaving,
        "flags": list(one.flags),
        "reasons": list(one.reasons),
        "needs_approval": one.needs_approval,
    }
