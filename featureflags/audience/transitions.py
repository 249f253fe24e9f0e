"""The transitions of one user, or row of another kind: when they will enter or leave segments if nobody writes, and why.

Pure but for the catalogue of attributes: it reads neither a clock nor a store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from featureflags.contexts.attributes import attributes_of, clocks_of
from featureflags.core.types import Attributes
from featureflags.segments.next_change import next_change
from featureflags.segments.ruleset import Ruleset
from featureflags.segments.time_attributes import Clock

MOST_STEPS: Final = 200
"""Moments to look at: a condition may flip without the user entering or leaving a segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What happens to one user at one moment."""

    at: int
    """µs since the epoch."""
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    attributes: tuple[str, ...]
    """Attributes that reach the number or the date of a condition then."""
    memberships: tuple[str, ...]
    """Segments that the user is included in, or excluded from, until then."""
    beginning: tuple[str, ...] = ()
    """The same from then on."""


def next_transitions(
    ruleset: Ruleset,
    snapshot: Any,
    *,
    now: int,
    segment_keys: Collection[str] | None = None,
    most: int = 1,
) -> list[Transition]:
    """The next transitions after `now` (µs), `most` of them, of all segments or of some."""
    return list(islice(_transitions(ruleset, snapshot, now, segment_keys), most))


def _transitions(
    ruleset: Ruleset, snapshot: Any, now: int, segment_keys: Collection[str] | None
) -> Iterator[Transition]:
    clocks, kind = clocks_of(snapshot), snapshot.kind
    change = partial(next_change, ruleset, segment_keys=segment_keys, kind=kind)
    before = _segments(ruleset, snapshot, now, segment_keys)
    for _ in range(MOST_STEPS):
        attributes = attributes_of(snapshot, now)
        at = change(attributes, clocks, now=now)
        if at is None:
            return
        after = _segments(ruleset, snapshot, at, segment_keys)
        if after != before:
            by_name = ruleset.memberships(snapshot.key, kind)
            yield Transition(
                at=at,
                entering=tuple(sorted(after - before)),
                leaving=tuple(sorted(before - after)),
                attributes=tuple(_due(change, attributes, clocks, now, at)),
                memberships=tuple(sorted(key for key, _, _, end in by_name if end == at)),
                beginning=tuple(sorted(key for key, _, begin, _ in by_name if begin == at)),
            )
        now, before = at, after


def _due(
    change: Callable[..., int | None],
    attributes: Attributes,
    clocks: Mapping[str, Clock],
    now: int,
    at: int,
) -> Iterator[str]:
    """The attributes by which conditions change at `at`. Without a key there are no memberships that end."""
    for name in dict.fromkeys([*clocks, *attributes]):
        clock = {name: clocks[name]} if name in clocks else {}
        if name != "key" and change({name: attributes.get(name)}, clock, now=now) == at:
            yield name


def _segments(
    ruleset: Ruleset, snapshot: Any, now: int, segment_keys: Collection[str] | None
) -> frozenset[str]:
    found = ruleset.match(attributes_of(snapshot, now), now=now, kind=snapshot.kind)
    return found if segment_keys is None else found & frozenset(segment_keys)
