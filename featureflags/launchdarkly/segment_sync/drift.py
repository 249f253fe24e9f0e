"""What somebody edited in a segment of LaunchDarkly that is ours: in words, and how to undo it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from featureflags.launchdarkly.rest.models import (
    USER_KIND,
    Clause,
    Instruction,
    RemoteSegment,
    RemoveExcludedTargets,
    RemoveIncludedTargets,
    RemoveRule,
    Rule,
    Target,
)

MOST_VALUES = 3
"""Of a clause, in words."""

Targets = Mapping[str, tuple[str, ...]]
"""Context kind → keys."""


def edits(segment: RemoteSegment, is_ours: Callable[[Rule], bool]) -> list[str]:
    """What is not ours, one phrase for each difference. Empty: it was not edited.

    A segment without any rule and any target was not edited: it was never finished.
    """
    if segment.unbounded:
        return ["it is a big segment, which has no rules"]
    rules = rules_of(segment)
    foreign = [rule for rule in rules if not is_ours(rule)]
    included, excluded = _included(segment), _excluded(segment)
    found = [f"a rule “{_rule_in_words(rule)}”" for rule in foreign]
    found += [
        f"{count} {'context' if count == 1 else 'contexts'} {what} by hand"
        for what, count in (("included", _count(included)), ("excluded", _count(excluded)))
        if count
    ]
    if found and len(foreign) == len(rules):
        found.insert(0, "its own rule is gone")
    return found


def undo(segment: RemoteSegment, *, keep: Rule | None) -> tuple[Instruction, ...]:
    """Remove all rules but `keep`, and everyone who was included or excluded by hand."""
    rules = [
        RemoveRule(rule_id=rule.id) for rule in rules_of(segment) if rule is not keep and rule.id
    ]
    included = [
        RemoveIncludedTargets(context_kind=kind, values=keys)
        for kind, keys in _included(segment).items()
    ]
    excluded = [
        RemoveExcludedTargets(context_kind=kind, values=keys)
        for kind, keys in _excluded(segment).items()
    ]
    return (*rules, *included, *excluded)


def rules_of(segment: RemoteSegment) -> tuple[Rule, ...]:
    return segment.rules or ()


def _included(segment: RemoteSegment) -> Targets:
    return _by_kind(segment.included, segment.included_contexts)


def _excluded(segment: RemoteSegment) -> Targets:
    return _by_kind(segment.excluded, segment.excluded_contexts)


def _by_kind(users: Iterable[str] | None, others: Iterable[Target] | None) -> Targets:
    """LaunchDarkly lists users apart from the contexts of other kinds."""
    found: dict[str, dict[str, None]] = {USER_KIND: dict.fromkeys(users or ())}
    for target in others or ():
        kind = found.setdefault(target.context_kind or USER_KIND, {})
        kind.update(dict.fromkeys(target.values or ()))
    return {kind: tuple(keys) for kind, keys in found.items() if keys}


def _count(targets: Targets) -> int:
    return sum(len(keys) for keys in targets.values())


def _rule_in_words(rule: Rule) -> str:
    clauses = " and ".join(_clause_in_words(clause) for clause in rule.clauses or ())
    share = "" if rule.weight is None else f", {rule.weight / 1000:g} % of them"
    return f"{clauses or 'everyone'}{share}"


def _clause_in_words(clause: Clause) -> str:
    kind = clause.context_kind
    attribute = clause.attribute if kind in {None, USER_KIND} else f"{kind} {clause.attribute}"
    shown = [json.dumps(value, ensure_ascii=False) for value in clause.values[:MOST_VALUES]]
    if len(clause.values) > MOST_VALUES:
        shown.append("…")
    return f"{attribute} {'not ' if clause.negate else ''}{clause.op} {', '.join(shown)}"
