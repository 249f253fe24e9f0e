"""Finds the rule that decided an evaluation, from LaunchDarkly's reason.

A reason has the rule's index and id. The flag may have changed since, so the id counts: a rule that
has moved is found, and a deleted one is not mistaken for another at its index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from featureflags.core.i18n import gettext
from featureflags.core.json_view import JSONView
from featureflags.inspection.clauses import targets_among
from featureflags.inspection.flag_parsing import Raw, RuleView, rules_of
from featureflags.segments.formatting import words


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseView(JSONView):
    """One clause of the deciding rule. All of them held."""

    number: int
    """Counted from 1."""
    words: str
    segments: tuple[str, ...]
    """The user's segments that it matched; for a negated clause, those that it excludes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(JSONView):
    """The rule behind a RULE_MATCH."""

    JSON_ALSO = ("words",)

    flag: str
    rule: int | None
    """Its number now, counted from 1; None if the flag has no such rule any more."""
    rule_id: str
    description: str
    clauses: tuple[ClauseView, ...]
    has_changed: bool
    """Whether the flag has changed since: the rule has moved or is gone."""

    @property
    def words(self) -> str:
        if self.rule is None:
            return gettext("A rule that the flag “%(flag)s” no longer has.") % {"flag": self.flag}
        name = f" ({self.description})" if self.description else ""
        conditions = gettext(" and ").join(clause.words for clause in self.clauses)
        return gettext("Rule %(rule)s%(name)s: %(conditions)s.") % {
            "rule": self.rule,
            "name": name,
            "conditions": conditions or gettext("everybody"),
        }


def decision(
    flag: str, raw: Raw, reason: Mapping[str, Any], segments: Collection[str] = ()
) -> Decision | None:
    """The deciding rule; None if no rule decided (see the reason's kind).

    `raw` is the flag in LaunchDarkly's JSON, `segments` are the user's.
    """
    if reason.get("kind") != "RULE_MATCH":
        return None
    index, rule_id = reason.get("ruleIndex"), reason.get("ruleId")
    rules = list(rules_of(raw))
    at_index = rules[index] if type(index) is int and 0 <= index < len(rules) else None
    found = at_index
    if isinstance(rule_id, str) and rule_id and (at_index is None or at_index.id != rule_id):
        found = next((rule for rule in rules if rule.id == rule_id), None)
    return Decision(
        flag=flag,
        rule=None if found is None else found.number,
        rule_id=rule_id if isinstance(rule_id, str) else "",
        description="" if found is None else found.description,
        clauses=() if found is None else tuple(_clause_views(found, segments)),
        has_changed=found is None or found is not at_index,
    )


def _clause_views(rule: RuleView, segments: Collection[str]) -> list[ClauseView]:
    return [
        ClauseView(
            number=number,
            words=words(clause),
            segments=tuple(sorted(targets_among(clause, segments))),
        )
        for number, clause in enumerate(rule.clauses, start=1)
    ]
