"""What the tests of segments over REST share."""

from __future__ import annotations

from tests.factories import clause, rule

URL = "/api/v1/segments/"
PAYING = [rule(clause("custom_plan", "in", "pro"), description="Paying")]
