"""What the tests of previews, sizes and bulk changes share."""

from __future__ import annotations

from rest_framework.test import APIClient

from tests.factories import (
    clause,
    rule,
)

URL = "/api/v1/segments"
PAYING = [rule(clause("custom_plan", "in", "pro"))]
MEMBER_PERMISSIONS = ("add_segmentmember", "change_segmentmember", "delete_segmentmember")


def client_of(token: str) -> APIClient:
    return APIClient(headers={"authorization": f"Bearer {token}"})
