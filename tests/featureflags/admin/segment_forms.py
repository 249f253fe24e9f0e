"""What the tests of this folder share."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse

from featureflags.models import Segment
from tests.factories import clause, rule

LIST = reverse("admin:featureflags_segment_changelist")

ADD = reverse("admin:featureflags_segment_add")

GERMANS = [rule(clause("custom_country", "in", "DE"))]


def change(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_change", args=[segment.pk])


def form(**fields: Any) -> dict[str, Any]:
    rules = fields.pop("rules", "[]")
    text = rules if isinstance(rules, str) else json.dumps(rules)
    return {"name": "Name", "description": "", "is_active": "on", "rules": text, **fields}
