"""Rules as sentences with their numbers, for users who may view a segment and not change it."""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from featureflags.editing import all_values, condition_in_words, share_in_words
from featureflags.models import Segment
from featureflags.segments.parsing import load_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionInWords:
    """One condition."""

    words: str
    values: tuple[str, ...]
    """All of a list that is too long for a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInWords:
    """One rule. Without conditions it is broken."""

    description: str
    conditions: tuple[ConditionInWords, ...]
    share: str
    """The percentage of those who match; empty: all of them."""


def readonly_rules(segment: Segment) -> SafeString:
    """The rules of a segment and its preview, as HTML. Never raises for what is stored."""
    rules, _ = load_rules(segment.rules, segment.kind)
    shown = [
        RuleInWords(
            description=rule.description,
            conditions=tuple(
                ConditionInWords(
                    words=condition_in_words(clause, segment.kind), values=all_values(clause)
                )
                for clause in rule.clauses
            ),
            share=share_in_words(rule, segment.kind),
        )
        for rule in rules
    ]
    return render_to_string(
        "admin/featureflags/rule_editor/readonly.html",
        {"rules": shown, "segment": segment.key, "kind": segment.kind},
    )
