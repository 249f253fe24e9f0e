"""Which flags ask LaunchDarkly for an attribute: a rule tests it, or a rollout buckets by it.

The rules of LaunchDarkly's own segments count for each flag that uses the segment. Flags that are off
are included, since they can be turned on.
"""

from __future__ import annotations

from collections.abc import Iterator

from featureflags.inspection.clauses import launchdarkly_segments, path_of
from featureflags.inspection.flag_parsing import FlagView, RawData, RuleView, flags, segments
from featureflags.segments.definitions import SEGMENT_MATCH, USER_KIND, Clause
from featureflags.segments.references import reachable


def flags_by_attribute(data: RawData, kind: str = USER_KIND) -> dict[str, tuple[str, ...]]:
    """For each attribute of a kind that a flag asks for, the keys of these flags, both in order."""
    rules = {segment.key: segment.rules for segment in segments(data)}
    named = {key: named_segments_of(own) for key, own in rules.items()}
    found: dict[str, set[str]] = {}
    for flag in flags(data):
        used = reachable(lambda key: named.get(key, ()), named_segments_of(flag.rules))
        asking = [*flag.rules, *(rule for key in used for rule in rules.get(key, ()))]
        for name in {*_tested(asking, kind), *_bucketed_by(flag, kind)}:
            found.setdefault(name, set()).add(flag.key)
    return {name: tuple(sorted(keys)) for name, keys in sorted(found.items())}


def named_segments_of(rules: tuple[RuleView, ...]) -> list[str]:
    """LaunchDarkly's segments that these rules ask for."""
    return [
        key
        for clause in _clauses(rules)
        if clause.op == SEGMENT_MATCH
        for key in launchdarkly_segments(clause)
    ]


def root_of(attribute: str) -> str:
    """The attribute that a path leads into: `custom_address` for `/custom_address/city`."""
    return attribute.lstrip("/").split("/", 1)[0]


def _tested(rules: list[RuleView], kind: str) -> Iterator[str]:
    for clause in _clauses(rules):
        path = path_of(clause)
        if path and clause.op != SEGMENT_MATCH and (clause.context_kind or USER_KIND) == kind:
            yield path[0]


def _bucketed_by(flag: FlagView, kind: str) -> Iterator[str]:
    for serving in [*(rule.serving for rule in flag.rules), flag.fallthrough]:
        if serving is not None and serving.shares and serving.bucket_kind == kind:
            yield root_of(serving.bucket_by)


def _clauses(rules: list[RuleView] | tuple[RuleView, ...]) -> Iterator[Clause]:
    return (clause for rule in rules for clause in rule.clauses)
