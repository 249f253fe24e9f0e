"""What changes by itself for one user: at which moments they enter or leave segments, and why.

Pure but for the catalogue of attributes: neither a clock nor a store is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from featureflags.contexts.attributes import attributes_of, clocks_of
from featureflags.segments.next_change import next_change
from featureflags.segments.ruleset import Ruleset
from users.snapshots import UserSnapshot

MOST_STEPS: Final = 200
"""A condition may flip without anybody entering or leaving: so many moments are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens at one moment, if nobody writes anything until then."""

    at: int
    """µs since the epoch."""
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    attributes: tuple[str, ...]
    """Names of the attributes that reach the number or date of a condition then."""
    memberships: tuple[str, ...]
    """Segments that the user is included in, or excluded from, until then."""


def changes_ahead(
    ruleset: Ruleset,
    snapshot: UserSnapshot,
    *,
    now: int,
    segment_keys: Collection[str] | None = None,
    most: int = 1,
) -> list[Change]:
    """The next changes of a user's segments after `now` (µs), or of those of some segments."""
    return list(islice(_changes(ruleset, snapshot, now, segment_keys), most))


def _changes(
    ruleset: Ruleset, snapshot: UserSnapshot, now: int, segment_keys: Collection[str] | None
) -> Iterator[Change]:
    clocks = clocks_of(snapshot)
    before = _segments(ruleset, snapshot, now, segment_keys)
    for _ in range(MOST_STEPS):
        at = next_change(ruleset, snapshot.key, clocks, now=now, segment_keys=segment_keys)
        if at is None:
            return
        after = _segments(ruleset, snapshot, at, segment_keys)
        if after != before:
            yield Change(
                at=at,
                entering=tuple(sorted(after - before)),
                leaving=tuple(sorted(before - after)),
                attributes=tuple(
                    name
                    for name, clock in clocks.items()
                    # Nobody's key: so that no membership ends.
                    if next_change(ruleset, "", {name: clock}, now=now, segment_keys=segment_keys)
                    == at
                ),
                memberships=tuple(
                    sorted(key for key, _, end in ruleset.memberships(snapshot.key) if end == at)
                ),
            )
        now, before = at, after


def _segments(
    ruleset: Ruleset, snapshot: UserSnapshot, now: int, segment_keys: Collection[str] | None
) -> frozenset[str]:
    found = ruleset.match(attributes_of(snapshot, now), now=now)
    return found if segment_keys is None else found & frozenset(segment_keys)
