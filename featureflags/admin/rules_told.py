"""Rules for whoever may look and not change: sentences, with the numbers beside them."""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from featureflags.attributes import CUSTOM_PREFIX, catalogue
from featureflags.models import Segment
from featureflags.segments.definitions import SEGMENT_MATCH, Clause
from featureflags.segments.parsing import load_rules
from featureflags.segments.showing import words


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRule:
    """One rule in words. Without conditions it is broken."""

    description: str
    conditions: tuple[str, ...]


def rules_told(segment: Segment) -> SafeString:
    """The rules of a segment and its preview, as HTML. Never raises for what is stored."""
    rules, _ = load_rules(segment.rules)
    told = [
        ToldRule(description=rule.description, conditions=tuple(map(_sentence, rule.clauses)))
        for rule in rules
    ]
    return render_to_string(
        "admin/featureflags/rules/told.html", {"rules": told, "segment": segment.key}
    )


def _sentence(clause: Clause) -> str:
    """A condition in words, with the attribute under its label."""
    sentence = words(clause)
    if clause.op == SEGMENT_MATCH:
        return sentence[:1].upper() + sentence[1:]
    known = catalogue().get(clause.attribute)
    label = clause.attribute.removeprefix(CUSTOM_PREFIX) if known is None else known.label
    return f"{label}{sentence.removeprefix(clause.attribute)}"
