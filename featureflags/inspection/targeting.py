"""Which flags target a Django segment, and on which way, in words.

A clause targets the segment X where it tests the attribute `segments` with X among its values, or
the attribute `/segment/X`. A flag does if one of its rules has such a clause, or a clause that
asks for a LaunchDarkly segment of which that is true (`segmentMatch`), or if a flag that it needs
first does. Whether a flag is on does not matter: somebody may turn it on.

Only `in` names a segment for sure. With the other text operators a clause counts if it matches
the key: `contains "user"` targets `new_user` too, which is rarely meant.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from featureflags.inspection.reading import Raw, RawData, RuleView, prerequisites_of, rules_of
from featureflags.segments.definitions import SEGMENT_MATCH, USER_KIND, Clause
from featureflags.segments.references import attribute_path
from featureflags.segments.showing import words

ATTRIBUTE: Final = "segments"
"""The attribute of our contexts that lists the keys of a user's segments."""
PATH: Final = "segment"
"""The object in `/segment/X`."""

FLAG, SEGMENT = "flag", "segment"


def _matches(pattern: str, key: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except re.error:
        return False


_LIKE: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda value, key: value in key,
    "startsWith": lambda value, key: key.startswith(value),
    "endsWith": lambda value, key: key.endswith(value),
    "matches": _matches,
}
"""Operators that match a segment's key without naming it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step on the way from a flag to a condition on the segment."""

    kind: str
    """`flag` or `segment`: whose rule, or whose prerequisite, this is."""
    key: str
    rule: int | None
    """Counted from 1; None for a prerequisite."""
    rule_id: str
    clause: int | None
    negated: bool
    words: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "key": self.key,
            "rule": self.rule,
            "rule_id": self.rule_id,
            "clause": self.clause,
            "negated": self.negated,
            "words": self.words,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One way on which a flag targets a Django segment."""

    flag: str
    segment: str
    path: tuple[Step, ...]
    by_name: bool
    """False: an operator other than `in` happens to match the segment's key."""

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
            "words": self.words,
            "path": [step.to_dict() for step in self.path],
        }


def uses_of(segment: str, data: RawData) -> list[Use]:
    """All uses of one Django segment, by flag, the shortest way to each condition first."""
    return [
        Use(flag=key, segment=segment, path=path, by_name=named == segment)
        for key in sorted(data.get("flags", {}))
        for path, clause in _conditions(key, data)
        if (named := target_of(clause, segment)) is not None
    ]


def named_segments(data: RawData) -> dict[str, list[Use]]:
    """Every Django segment that a flag names, whether it exists or not, with its uses."""
    found: dict[str, list[Use]] = {}
    for key in sorted(data.get("flags", {})):
        for path, clause in _conditions(key, data):
            for segment in names_of(clause):
                use = Use(flag=key, segment=segment, path=path, by_name=True)
                found.setdefault(segment, []).append(use)
    return dict(sorted(found.items()))


def _conditions(flag: str, data: RawData) -> Iterator[tuple[tuple[Step, ...], Clause]]:
    """Every condition on `segments` that a flag rests on, with the way to it.

    Each flag and LaunchDarkly segment is visited once for each sense, negated or not, on the
    shortest way: a graph with many ways to the same condition has too many to list, and a cycle
    has no end.
    """
    pending: deque[tuple[str, str, tuple[Step, ...]]] = deque([(FLAG, flag, ())])
    seen = {(FLAG, flag, False)}
    while pending:
        kind, key, path = pending.popleft()
        raw = data.get(f"{kind}s", {}).get(key)
        if not isinstance(raw, Mapping):
            continue
        for step, clause in _own(kind, key, raw):
            yield (*path, step), clause
        for step, next_kind, next_key in _ways_on(kind, key, raw):
            longer = (*path, step)
            sense = (next_kind, next_key, sum(each.negated for each in longer) % 2 == 1)
            if sense not in seen:
                seen.add(sense)
                pending.append((next_kind, next_key, longer))


def _own(kind: str, key: str, raw: Raw) -> Iterator[tuple[Step, Clause]]:
    for rule, number, clause in _clauses(raw):
        if clause.op != SEGMENT_MATCH and is_about_segments(clause):
            yield _step(kind, key, rule, number, clause), clause


def _ways_on(kind: str, key: str, raw: Raw) -> Iterator[tuple[Step, str, str]]:
    for rule, number, clause in _clauses(raw):
        if clause.op == SEGMENT_MATCH:
            for value in clause.values:
                if isinstance(value, str):
                    yield _step(kind, key, rule, number, clause), SEGMENT, value
    if kind == FLAG:
        for needed in prerequisites_of(raw):
            text = f"the flag “{key}” needs the flag “{needed}” first"
            step = Step(
                kind=FLAG, key=key, rule=None, rule_id="", clause=None, negated=False, words=text
            )
            yield step, FLAG, needed


def _clauses(raw: Raw) -> Iterator[tuple[RuleView, int, Clause]]:
    for rule in rules_of(raw):
        for number, clause in enumerate(rule.clauses, start=1):
            yield rule, number, clause


def _step(kind: str, key: str, rule: RuleView, number: int, clause: Clause) -> Step:
    whose = "the flag" if kind == FLAG else "LaunchDarkly's segment"
    called = f" ({rule.description})" if rule.description else ""
    return Step(
        kind=kind,
        key=key,
        rule=rule.number,
        rule_id=rule.id,
        clause=number,
        negated=clause.negate,
        words=(
            f"rule {rule.number}{called}, condition {number} of {whose} “{key}”: {words(clause)}"
        ),
    )


def _path(clause: Clause) -> tuple[str, ...]:
    """The attribute's path; none for another kind of context, or a path that is not valid."""
    if clause.context_kind not in {None, USER_KIND}:
        return ()
    try:
        # Old rules name no kind. No attribute of ours begins with a slash, so it is a path there.
        return attribute_path(clause.attribute, USER_KIND)
    except ValueError:
        return ()


def is_about_segments(clause: Clause) -> bool:
    """Whether a condition tests our segments, and none of LaunchDarkly's."""
    path = _path(clause)
    return path == (ATTRIBUTE,) or (len(path) == 2 and path[0] == PATH)


def names_of(clause: Clause) -> list[str]:
    """The segments of ours that a clause names for sure."""
    path = _path(clause)
    if len(path) == 2:
        return [path[1]]
    if clause.op != "in":
        return []
    return list(dict.fromkeys(value for value in clause.values if isinstance(value, str)))


def target_of(clause: Clause, segment: str) -> str | None:
    """The segment's key if the clause names it, "" if it only matches it, None if neither."""
    if segment in names_of(clause):
        return segment
    like = _LIKE.get(clause.op)
    if like is None or _path(clause) != (ATTRIBUTE,):
        return None
    texts = [value for value in clause.values if isinstance(value, str)]
    return "" if any(like(value, segment) for value in texts) else None
