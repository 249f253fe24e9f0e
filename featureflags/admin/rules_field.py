"""The form field of a segment's rules: JSON text, with names in the order in which people read."""

from __future__ import annotations

from typing import Any

from users.forms import JSONTextField

ORDER = ("id", "description", "clauses", "attribute", "op", "values", "negate", "contextKind")
"""PostgreSQL's jsonb forgets the order in which names were written, and sorts them by length."""


class RulesField(JSONTextField):
    """Rules as JSON text; an empty text is no rules."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "empty": list})

    def prepare_value(self, value: Any) -> Any:
        """The text to show: typed text as it is, stored rules in reading order."""
        return super().prepare_value(in_reading_order(value))


def in_reading_order(value: Any) -> Any:
    """The same JSON with the names of rules and clauses sorted; others keep their places."""
    if isinstance(value, dict):
        known = [name for name in ORDER if name in value]
        others = [name for name in value if name not in ORDER]
        return {name: in_reading_order(value[name]) for name in (*known, *others)}
    if isinstance(value, list):
        return [in_reading_order(item) for item in value]
    return value
