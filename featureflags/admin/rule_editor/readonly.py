"""Rules for whoever may look and not change: sentences, with the numbers beside them."""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from featureflags.editing.sentences import condition_in_words
from featureflags.models import Segment
from featureflags.segments.parsing import load_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRule:
    """One rule in words. Without conditions it is broken."""

    description: str
    conditions: tuple[str, ...]


def rules_told(segment: Segment) -> SafeString:
    """The rules of a segment and its preview, as HTML. Never raises for what is stored."""
    rules, _ = load_rules(segment.rules)
    told = [
        ToldRule(
            description=rule.description, conditions=tuple(map(condition_in_words, rule.clauses))
        )
        for rule in rules
    ]
    return render_to_string(
        "admin/featureflags/rule_editor/readonly.html", {"rules": told, "segment": segment.key}
    )
