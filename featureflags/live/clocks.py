"""Which subjects have changed by the clock alone: a membership has ended, an account is a day older.

    clocks.learn(rows)      compute when these rows change next
    clocks.ticked(rows)     those that have changed since

A context knows until when it is valid. What changes its segments is noticed at the next look; an attribute
alone that changes more often, such as the time, is noticed once in `ATTRIBUTE_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from featureflags.contexts.results import Degradation
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.deadlines import Purpose, within
from featureflags.evaluation import looking
from featureflags.evaluation.arguments import canonical_address
from featureflags.evaluation.resolve import contexts_for
from featureflags.kinds.snapshot import Address

ATTRIBUTE_SECONDS: Final = 60.0
SOONEST: Final = 500_000
"""µs. A row that is always due is computed so often at most; with a look each 0.3 s a change is noticed
within a second all the same."""
AT_ONCE: Final = 1_000
UNKNOWN: Final = frozenset({Degradation.USER_UNAVAILABLE, Degradation.SEGMENTS_UNAVAILABLE})
"""With one of these a context does not say when it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one row."""

    segments: tuple[str, ...]
    until: int | None
    """The instant (µs) at which it changes by itself. None: never."""
    noticed: float = float("-inf")
    """When the clock last changed it, on the monotonic clock."""


class Clocks:
    """When the rows that streams are about change by themselves."""

    def __init__(self) -> None:
        self._known: dict[Address, Known] = {}

    def learn(self, rows: Collection[Address], *, again: bool = True) -> None:
        """Compute when these rows change next; `again=False`: those alone of which nothing is known.

        One round trip for each thousand. What cannot be computed now is not known.
        """
        wanted = [row for row in rows if again or row not in self._known]
        found = _computed(wanted)
        for row in wanted:
            if row not in found:
                self._known.pop(row, None)
            elif again:
                self._known[row] = found[row]
            else:
                # Another thread may have computed it later than this one.
                self._known.setdefault(row, found[row])

    def keep(self, rows: Collection[Address]) -> None:
        """Forget all other rows."""
        for row in tuple(self._known):
            if row not in rows:
                self._known.pop(row, None)

    def ticked(self, rows: Iterable[Address]) -> set[Address]:
        """The rows that the clock has changed since they were computed; they are computed anew."""
        now, began = time.time_ns() // 1000, time.monotonic()
        due = {
            row: known
            for row in rows
            if (known := self._known.get(row)) is not None
            and known.until is not None
            and known.until <= now
        }
        self.learn(due)
        changed = set()
        for row, before in due.items():
            after = self._known.get(row)
            is_news = (
                after is None
                or after.segments != before.segments
                or began - before.noticed >= ATTRIBUTE_SECONDS
            )
            if is_news:
                changed.add(row)
            if after is not None:
                noticed = began if is_news else before.noticed
                self._known[row] = replace(after, noticed=noticed)
        return changed


def _computed(rows: Iterable[Address]) -> dict[Address, Known]:
    wanted = [row for row in rows if _is_row(row)]
    found: dict[Address, Known] = {}
    for start in range(0, len(wanted), AT_ONCE):
        with within(Purpose.PAGE), looking():
            contexts = contexts_for(wanted[start : start + AT_ONCE])
        now = time.time_ns() // 1000
        found |= {
            row: _known(context, now)
            for row, context in contexts.items()
            if UNKNOWN.isdisjoint(context.degraded)
        }
    return found


def _known(context: SubjectContext, now: int) -> Known:
    until = context.valid_until
    soonest = None if until is None else max(until, now + SOONEST)
    return Known(segments=context.all_segments, until=soonest)


def _is_row(row: Address) -> bool:
    """False for a kind that this release does not declare, which a ticket of another one may name."""
    try:
        return canonical_address(row) == row
    except ValueError:
        return False
