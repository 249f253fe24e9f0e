"""The tree that explains one verdict, as data, as JSON and as lines of text.

Frozen values alone: ``explain`` builds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule
from featureflags.segments.formatting import plain, words
from featureflags.segments.percentages import share_in_words

MAX_NESTING: Final = 20
"""How deep a rendering follows segments into segments; the tree itself holds all of them."""


class Missing(Enum):
    """The observed value of an attribute that is missing or null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionExplanation:
    """One condition: what was seen, whether it held, and why in words.

    ``nested`` explains each existing segment that a segmentMatch names. ``obstacle`` is why it could
    not be judged: it is broken, or the value cannot be compared.
    """

    clause: Clause
    observed: object
    held: bool
    why: str
    nested: tuple[Explanation, ...] = ()
    obstacle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentageExplanation:
    """The percentage that a rule takes of those who match, and one row's place among them."""

    rule: Rule
    bucket: float | None
    """From 0 to 1; None: LaunchDarkly has none for such a value."""
    held: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExplanation:
    """One rule, by its number from 1: it matched if it has conditions, and all of them and the
    percentage held."""

    number: int
    description: str
    matched: bool
    conditions: tuple[ConditionExplanation, ...]
    percentage: PercentageExplanation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The verdict on one user and one segment.

    ``decided_by`` is ``included``, ``excluded``, ``rule 1``, ``no rule`` or ``unknown segment``.
    The rules are included even if a membership decides.
    """

    segment_key: str
    verdict: bool
    decided_by: str
    rules: tuple[RuleExplanation, ...] = ()

    def to_dict(self) -> dict[str, JSONValue]:
        """For JSON. A missing value has no ``observed``.

        A segment that occurs again has a verdict, but no rules: shared segments must not make the
        answer explode.
        """
        return _segment_dict(self, shown=set(), depth=0)

    def lines(self) -> list[str]:
        """For a terminal: one line for the verdict, each rule and each condition, indented."""
        return list(_segment_lines(self, shown=set(), depth=0))


def _segment_dict(explanation: Explanation, *, shown: set[str], depth: int) -> dict[str, JSONValue]:
    answer: dict[str, JSONValue] = {
        "segment": explanation.segment_key,
        "verdict": explanation.verdict,
        "decided_by": explanation.decided_by,
    }
    if explanation.segment_key not in shown and depth < MAX_NESTING:
        shown.add(explanation.segment_key)
        answer["rules"] = [
            {
                "number": rule.number,
                "description": rule.description,
                "matched": rule.matched,
                "conditions": [
                    _condition_dict(condition, shown=shown, depth=depth)
                    for condition in rule.conditions
                ],
                **_percentage_dict(rule.percentage),
            }
            for rule in explanation.rules
        ]
    return answer


def _percentage_dict(share: PercentageExplanation | None) -> dict[str, JSONValue]:
    if share is None:
        return {}
    return {
        "percentage": {
            "condition": share_in_words(share.rule),
            "bucket": share.bucket,
            "held": share.held,
            "why": share.why,
        }
    }


def _condition_dict(
    condition: ConditionExplanation, *, shown: set[str], depth: int
) -> dict[str, JSONValue]:
    answer: dict[str, JSONValue] = {
        "condition": words(condition.clause),
        "held": condition.held,
        "why": condition.why,
    }
    if condition.observed is not MISSING:
        answer["observed"] = plain(condition.observed)
    if condition.nested:
        answer["nested"] = [
            _segment_dict(nested, shown=shown, depth=depth + 1) for nested in condition.nested
        ]
    return answer


def _segment_lines(explanation: Explanation, *, shown: set[str], depth: int) -> Iterator[str]:
    indent = " " * (8 * depth)
    verdict = "in" if explanation.verdict else "not in"
    yield f"{indent}{verdict} {explanation.segment_key}: {explanation.decided_by}"
    if explanation.segment_key in shown or depth >= MAX_NESTING:
        return
    shown.add(explanation.segment_key)
    for rule in explanation.rules:
        title = f" ({rule.description})" if rule.description else ""
        state = "matches" if rule.matched else "does not match"
        yield f"{indent}  rule {rule.number}{title} {state}"
        if not rule.conditions:
            yield f"{indent}    without a usable condition it matches nobody"
        for condition in rule.conditions:
            mark = "yes" if condition.held else "no "
            yield f"{indent}    {mark} {words(condition.clause)}: {condition.why}"
            for nested in condition.nested:
                yield from _segment_lines(nested, shown=shown, depth=depth + 1)
        share = rule.percentage
        if share is not None:
            mark = "yes" if share.held else "no "
            yield f"{indent}    {mark} {share_in_words(share.rule)}: {share.why}"
