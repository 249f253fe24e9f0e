"""A condition that the tests of the rule editor start from."""

from __future__ import annotations

PLAN = {"attribute": "custom_plan", "op": "in", "values": ["pro"], "negate": False}
