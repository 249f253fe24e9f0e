"""A segment that a flag uses, and the pages that ask."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse

from featureflags.models import Segment
from tests.factories import clause, rule

LIST = reverse("admin:featureflags_segment_changelist")

PRO = [rule(clause("custom_plan", "in", "pro"))]

EDITOR = ("add_segment", "change_segment", "delete_segment", "view_segment")


def change(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_change", args=[segment.pk])


def form(segment: Segment, **fields: Any) -> dict[str, Any]:
    """The form as it was filled, with what somebody types."""
    rules = fields.pop("rules", segment.rules)
    filled: dict[str, Any] = {
        "name": segment.name,
        "description": segment.description,
        "is_active": "on",
        "rules": json.dumps(rules),
        "note": "",
        "_version": segment.version,
        "_save": "Save",
        **fields,
    }
    return {name: value for name, value in filled.items() if value is not None}
