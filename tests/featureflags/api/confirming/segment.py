"""The segment of these tests, its addresses, and staff with some permissions."""

from __future__ import annotations

from tests.factories import clause, rule

URL = "/api/v1/segments/"
ONE = f"{URL}paying/"
MEMBERS = f"{ONE}members/"
PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]
