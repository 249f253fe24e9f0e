"""How many users are in each segment: one pass over the users for all segments.

Hidden SQL: one statement for all segments. For each one that SQL cannot say exactly, those whom
it leaves in doubt are read as well, in batches, unless bounds are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from featureflags.attributes import attributes_of
from featureflags.cache.rulesets import current_ruleset
from featureflags.membership import batches, in_doubt
from featureflags.segments.ruleset import Ruleset
from featureflags.sql.bounds import Bounds, Condition
from featureflags.sql.compiler import SegmentCompiler
from featureflags.sql.counting import Columns, count_in_one_pass
from users.models import User
from users.querysets import UserQuerySet
from users.times import now_in_microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSize:
    """How many users are in a segment: at least and at most; the same number if it is known."""

    key: str
    at_least: int
    at_most: int
    why_inexact: tuple[str, ...] = ()
    """What SQL could not say, whether or not Python has finished the count."""

    @property
    def count(self) -> int | None:
        """The number of members, or None if it lies between two bounds."""
        return self.at_least if self.at_least == self.at_most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSizes:
    """The sizes of some segments at one moment, and the number of all users."""

    users: int
    sizes: tuple[SegmentSize, ...]


def segment_sizes(
    *,
    now: int | None = None,
    ruleset: Ruleset | None = None,
    users: UserQuerySet | None = None,
    finish: bool = True,
) -> SegmentSizes:
    """The size of every segment, by default of the rules in force, among all users, now (µs).

    With `finish=False` nothing but the one statement is run, and what SQL cannot say is bounds.
    """
    now = now_in_microseconds() if now is None else now
    ruleset = current_ruleset().ruleset if ruleset is None else ruleset
    users = User.objects.all() if users is None else users
    columns = Columns()
    compiler = SegmentCompiler(ruleset, now=now, source=columns)
    bounds = {key: compiler.segment(key) for key in sorted(ruleset.definitions)}
    conditions = [one for found in bounds.values() for one in _parts(found)]
    total, *counted = count_in_one_pass(users, conditions, columns)
    counts = iter(counted)
    sizes = []
    for key, found in bounds.items():
        least, *most = [next(counts) for _ in _parts(found)]
        sizes.append(
            SegmentSize(
                key=key, at_least=least, at_most=max([least, *most]), why_inexact=found.reasons
            )
        )
    if finish:
        sizes = [_finished(size, ruleset, users, now) for size in sizes]
    return SegmentSizes(users=total, sizes=tuple(sizes))


def _parts(bounds: Bounds) -> list[Condition]:
    return [bounds.lower] if bounds.exact else [bounds.lower, bounds.upper]


def _finished(size: SegmentSize, ruleset: Ruleset, users: UserQuerySet, now: int) -> SegmentSize:
    if size.at_least == size.at_most:
        return size
    bounds: Bounds = SegmentCompiler(ruleset, now=now).segment(size.key)
    judged = sum(
        ruleset.matches(size.key, attributes_of(user, now), now=now)
        for batch in batches(users.filter(in_doubt(bounds)))
        for user in batch
    )
    return replace(size, at_least=size.at_least + judged, at_most=size.at_least + judged)
