"""What the tests ask about a change."""

from __future__ import annotations

from typing import Any

from featureflags.audience.impact import impact_of
from featureflags.audience.parts import Impact
from featureflags.audience.unsaved import unsaved_segment
from tests.factories import clause, rule

LONG = 600.0
"""Seconds that no test needs: the count is whole."""

PAYING = rule(clause("custom_plan", "in", "pro", "team"))

LONG_NAMES = rule(clause("name", "matches", "^.{5,}$"))
"""What SQL cannot say."""


def numbers(impact: Impact) -> tuple[int, int, int]:
    return impact.matching.at_least, impact.entering.at_least, impact.leaving.at_least


def ask(key: str, *rules: dict[str, Any], **options: Any) -> Impact:
    is_active = options.pop("is_active", True)
    definition = unsaved_segment(key, list(rules), is_active=is_active)
    return impact_of(definition, **{"seconds": LONG, **options})
