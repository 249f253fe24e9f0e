"""Paths from a flag to clauses on Django's segments: through rules, segments and prerequisites."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from featureflags.core.i18n import gettext
from featureflags.core.json_view import JSONView
from featureflags.inspection.clauses import PATH, is_about_segments, launchdarkly_segments
from featureflags.inspection.flag_parsing import Raw, RawData, RuleView, prerequisites_of, rule_of
from featureflags.inspection.raw_json import objects, text
from featureflags.segments.definitions import SEGMENT_MATCH, Clause
from featureflags.segments.formatting import words

FLAG: Final = "flag"
SEGMENT: Final = "segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(JSONView):
    """One step on the way from a flag to a condition on the segment."""

    JSON_ALSO = ("negated", "words")
    JSON_WITHOUT = frozenset({"rule", "needs"})

    kind: str
    """`flag` or `segment`: what has this rule or prerequisite."""
    key: str
    rule: RuleView | None = None
    """Its rule; None for a prerequisite."""
    clause: int | None = None
    """Which condition of the rule, counted from 1."""
    needs: str = ""
    """The prerequisite's flag key; empty for a rule."""

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
        """The rule by its number and id alone."""
        number, rule_id = (None, "") if self.rule is None else (self.rule.number, self.rule.id)
        return {**JSONView.to_dict(self), "rule": number, "rule_id": rule_id}

    @property
    def _condition(self) -> Clause | None:
        if self.rule is None or self.clause is None:
            return None
        return self.rule.clauses[self.clause - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use(JSONView):
    """One path on which a flag uses a Django segment."""

    JSON_ALSO = ("negated", "direct", "words")

    flag: str
    segment: str
    path: tuple[Step, ...]
    by_name: bool
    """False: another operator than `in` happens to match the segment's key."""
    live: bool
    """True if it decides now: the flag and every flag on the path are on."""

    @property
    def negated(self) -> bool:
        """True if users outside the segment are targeted: an odd number of negations."""
        return sum(step.negated for step in self.path) % 2 == 1

    @property
    def direct(self) -> bool:
        """Whether the flag's own rule tests the segment."""
        return len(self.path) == 1

    @property
    def words(self) -> str:
        return ", ".join(step.words for step in self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A clause on `segments`, and the path from a flag to it."""

    clause: Clause
    path: tuple[Step, ...]
    live: bool

    def use(self, flag: str, segment: str, *, by_name: bool) -> Use:
        return Use(flag=flag, segment=segment, path=self.path, by_name=by_name, live=self.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A flag or LaunchDarkly segment still to be searched, and the path to it."""

    kind: str
    key: str
    path: tuple[Step, ...] = ()
    negated: bool = False
    live: bool = True

    @property
    def sense(self) -> tuple[str, str, bool, bool]:
        """Two paths with the same sense lead to the same uses."""
        return self.kind, self.key, self.negated, self.live


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """The relevant clauses of a flag or a LaunchDarkly segment."""

    is_on: bool
    conditions: tuple[tuple[Step, Clause], ...]
    ways_on: tuple[tuple[Step, str, str], ...]
    """A step, and the kind and key of where it leads."""


class Walk:
    """A search through flags and segments that parses each of them once."""

    def __init__(self, data: RawData) -> None:
        self._data = data
        self._known: dict[tuple[str, str], _Content | None] = {}

    def from_flag(self, flag: str) -> Iterator[Condition]:
        """Every clause on `segments` that a flag uses, the shortest path to each first.

        Each flag and segment is visited once per sense: a graph can have too many paths to the
        same clause to list, and a cycle has no end.
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
    """A quick filter: most clauses are about other attributes."""
    return clause.get("op") == SEGMENT_MATCH or PATH in text(clause.get("attribute"))
