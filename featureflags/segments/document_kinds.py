"""Of which kind a segment's JSON is. LaunchDarkly's form names kinds part by part, ours once."""

from __future__ import annotations

from collections.abc import Mapping

from featureflags.segments.definitions import SEGMENT_MATCH, USER_KIND
from featureflags.segments.member_json import listed_kinds


def kind_of_document(raw: Mapping[str, object]) -> str:
    """The ``kind`` of a segment; in LaunchDarkly's form what all its parts name, or `user`."""
    kinds = kinds_of_document(raw)
    return kinds.pop() if len(kinds) == 1 else USER_KIND


def kinds_of_document(raw: Mapping[str, object]) -> set[str]:
    """Its ``kind``, or the kinds that its conditions, percentages and members name.

    Empty for a segment that only uses other segments.
    """
    own, rules = raw.get("kind"), raw.get("rules")
    if isinstance(own, str) and own:
        return {own}
    kinds = listed_kinds(raw)
    for rule in rules if isinstance(rules, list | tuple) else ():
        if not isinstance(rule, dict):
            continue
        if rule.get("weight") is not None:
            kinds.add(_named_kind(rule.get("rolloutContextKind")))
        clauses = rule.get("clauses")
        for clause in clauses if isinstance(clauses, list | tuple) else ():
            if isinstance(clause, dict) and clause.get("op") != SEGMENT_MATCH:
                kinds.add(_named_kind(clause.get("contextKind")))
    return kinds


def _named_kind(kind: object) -> str:
    return kind if isinstance(kind, str) and kind else USER_KIND
