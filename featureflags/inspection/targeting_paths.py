"""The ways from a flag to conditions on Django's segments: through rules, segments, prerequisites."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from featureflags.core.i18n import gettext
from featureflags.inspection.clauses import PATH, is_about_segments, launchdarkly_segments
from featureflags.inspection.flag_parsing import Raw, RawData, RuleView, prerequisites_of, rule_of
from featureflags.inspection.raw_json import objects, text
from featureflags.segments.definitions import SEGMENT_MATCH, Clause
from featureflags.segments.formatting import words

FLAG: Final = "flag"
SEGMENT: Final = "segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step on the way from a flag to a condition on the segment."""

    kind: str
    """`flag` or `segment`: whose rule, or whose prerequisite, this is."""
    key: str
    rule: RuleView | None = None
    """Its rule; None for a prerequisite."""
    clause: int | None = None
    """Which condition of the rule, counted from 1."""
    needs: str = ""
    """The flag that it needs first, where it is a prerequisite."""

    @property
    def negated(self) -> bool:
        condition = self._condition
        return condition is not None and condition.negate

    @property
    def words(self) -> str:
        condition = self._condition
        if self.rule is None or condition is None:
            return gettext("the flag “%(key)s” needs the flag “%(needs)s” first") % {
                "key": self.key,
                "needs": self.needs,
            }
        whose = gettext("the flag") if self.kind == FLAG else gettext("LaunchDarkly's segment")
        where = gettext("%(name)s, condition %(clause)s of %(whose)s “%(key)s”") % {
            "name": self.rule.name,
            "clause": self.clause,
            "whose": whose,
            "key": self.key,
        }
        return f"{where}: {words(condition)}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "key": self.key,
            "rule": None if self.rule is None else self.rule.number,
            "rule_id": "" if self.rule is None else self.rule.id,
            "clause": self.clause,
            "negated": self.negated,
            "words": self.words,
        }

    @property
    def _condition(self) -> Clause | None:
        if self.rule is None or self.clause is None:
            return None
        return self.rule.clauses[self.clause - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One way on which a flag targets a Django segment."""

    flag: str
    segment: str
    path: tuple[Step, ...]
    by_name: bool
    """False: an operator other than `in` happens to match the segment's key."""
    live: bool
    """Whether people are decided by it now: the flag is on, and so are those on the way to it."""

    @property
    def negated(self) -> bool:
        """Whether it is those outside of the segment who are targeted: an odd number of nots."""
        return sum(step.negated for step in self.path) % 2 == 1

    @property
    def direct(self) -> bool:
        """Whether the flag's own rule tests the segment."""
        return len(self.path) == 1

    @property
    def words(self) -> str:
        return ", ".join(step.words for step in self.path)

    def to_dict(self) -> dict[str, Any]:
        return {
            "flag": self.flag,
            "segment": self.segment,
            "negated": self.negated,
            "direct": self.direct,
            "by_name": self.by_name,
            "live": self.live,
            "words": self.words,
            "path": [step.to_dict() for step in self.path],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition on `segments`, and the way from a flag to it."""

    clause: Clause
    path: tuple[Step, ...]
    live: bool

    def use(self, flag: str, segment: str, *, by_name: bool) -> Use:
        return Use(flag=flag, segment=segment, path=self.path, by_name=by_name, live=self.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A flag or a LaunchDarkly segment that is yet to be looked into, and the way to it."""

    kind: str
    key: str
    path: tuple[Step, ...] = ()
    negated: bool = False
    live: bool = True

    @property
    def sense(self) -> tuple[str, str, bool, bool]:
        """What makes another way to the same place worth following."""
        return self.kind, self.key, self.negated, self.live


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What there is in a flag or a LaunchDarkly segment."""

    is_on: bool
    conditions: tuple[tuple[Step, Clause], ...]
    ways_on: tuple[tuple[Step, str, str], ...]
    """The step, and the kind and key of the place that it leads to."""


class Walk:
    """Walks through flags and segments, and reads each of them once."""

    def __init__(self, data: RawData) -> None:
        self._data = data
        self._known: dict[tuple[str, str], _Content | None] = {}

    def from_flag(self, flag: str) -> Iterator[Condition]:
        """Every condition on `segments` that a flag rests on, the shortest way to each first.

        Each flag and segment is visited once for each sense: a graph with many ways to the same
        condition has too many to list, and a cycle has no end.
        """
        start = _Place(kind=FLAG, key=flag)
        pending, seen = deque([start]), {start.sense}
        while pending:
            place = pending.popleft()
            content = self._content(place.kind, place.key)
            if content is None:
                continue
            live = place.live and content.is_on
            for step, clause in content.conditions:
                yield Condition(clause=clause, path=(*place.path, step), live=live)
            for step, kind, key in content.ways_on:
                further = _Place(
                    kind=kind,
                    key=key,
                    path=(*place.path, step),
                    negated=place.negated is not step.negated,
                    live=live,
                )
                if further.sense not in seen:
                    seen.add(further.sense)
                    pending.append(further)

    def _content(self, kind: str, key: str) -> _Content | None:
        if (kind, key) not in self._known:
            raw = self._data.get(f"{kind}s", {}).get(key)
            found = _content(kind, key, raw) if isinstance(raw, Mapping) else None
            self._known[kind, key] = found
        return self._known[kind, key]


def _content(kind: str, key: str, raw: Raw) -> _Content:
    conditions: list[tuple[Step, Clause]] = []
    ways_on: list[tuple[Step, str, str]] = []
    for place, raw_rule in enumerate(objects(raw, "rules"), start=1):
        if not any(_may_matter(clause) for clause in objects(raw_rule, "clauses")):
            continue
        rule = rule_of(place, raw_rule)
        for number, clause in enumerate(rule.clauses, start=1):
            step = Step(kind=kind, key=key, rule=rule, clause=number)
            if clause.op == SEGMENT_MATCH:
                ways_on += [(step, SEGMENT, named) for named in launchdarkly_segments(clause)]
            elif is_about_segments(clause):
                conditions.append((step, clause))
    if kind == FLAG:
        ways_on += [
            (Step(kind=FLAG, key=key, needs=needed), FLAG, needed)
            for needed in prerequisites_of(raw)
        ]
    return _Content(
        is_on=kind == SEGMENT or raw.get("on") is True,
        conditions=tuple(conditions),
        ways_on=tuple(ways_on),
    )


def _may_matter(clause: Raw) -> bool:
    """Whether it is worth reading: most conditions are about other attributes."""
    return clause.get("op") == SEGMENT_MATCH or PATH in text(clause.get("attribute"))
