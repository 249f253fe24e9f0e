"""For the reason of an evaluation: the rule that decided, and its conditions.

A reason names the rule by index and by id. The flag may have changed since, so the id is what
counts: a rule that has moved is found, and one that is gone is not guessed by its index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from featureflags.core.i18n import gettext
from featureflags.inspection.clauses import targets_among
from featureflags.inspection.flag_parsing import Raw, RuleView, rules_of
from featureflags.segments.formatting import words


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseView:
    """One condition of the rule that decided. All of them held."""

    number: int
    """Counted from 1."""
    words: str
    segments: tuple[str, ...]
    """Which of the user's segments it matched; for a negated one, those it would refuse."""

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "words": self.words, "segments": list(self.segments)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The rule behind a RULE_MATCH."""

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

    def to_dict(self) -> dict[str, Any]:
        return {
            "flag": self.flag,
            "rule": self.rule,
            "rule_id": self.rule_id,
            "description": self.description,
            "clauses": [clause.to_dict() for clause in self.clauses],
            "has_changed": self.has_changed,
            "words": self.words,
        }


def decision(
    flag: str, raw: Raw, reason: Mapping[str, Any], segments: Collection[str] = ()
) -> Decision | None:
    """What decided; None where no rule did (see the reason's kind).

    `raw` is the flag in LaunchDarkly's JSON, `segments` are those of the user who asked.
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
