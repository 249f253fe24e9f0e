"""How large a segment may be: problems that a smaller one would not have.

Rules are counted before they are parsed, so that rules of any size are refused at once.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext

from featureflags.core.conf import app_settings
from featureflags.segments.definitions import Problem

TOO_MANY_RULES: Final = "too_many_rules"
TOO_MANY_CLAUSES: Final = "too_many_clauses"
TOO_MANY_VALUES: Final = "too_many_values"
TOO_MANY_MEMBERS: Final = "too_many_members"
OVER_LIMIT: Final = frozenset({TOO_MANY_RULES, TOO_MANY_CLAUSES, TOO_MANY_VALUES, TOO_MANY_MEMBERS})
"""Codes of these problems."""


def limit_problem(raw_rules: object) -> Problem | None:
    """What is wrong with rules that are more, or have more conditions, than the settings allow."""
    if not isinstance(raw_rules, list):
        return None
    settings = app_settings()
    if len(raw_rules) > settings.max_rules:
        text = gettext("a segment has at most %(most)s rules (MAX_RULES), and these are %(total)s")
        shown = {"most": f"{settings.max_rules:,}", "total": f"{len(raw_rules):,}"}
        return Problem(code=TOO_MANY_RULES, rule=settings.max_rules + 1, message=text % shown)
    total = 0
    for number, rule in enumerate(raw_rules, start=1):
        clauses = rule.get("clauses") if isinstance(rule, dict) else None
        total += len(clauses) if isinstance(clauses, list) else 0
        if total > settings.max_clauses:
            text = gettext(
                "the rules up to this one have %(total)s conditions; a segment has at most"
                " %(most)s (MAX_CLAUSES)"
            )
            shown = {"most": f"{settings.max_clauses:,}", "total": f"{total:,}"}
            return Problem(code=TOO_MANY_CLAUSES, rule=number, message=text % shown)
    return None
