"""Programs with keys, and the owners of keys."""

from __future__ import annotations

from rest_framework.test import APIClient

from featureflags.models import ApiKey
from featureflags.models.api_keys import prefix_of

ME, FLAGS, SEGMENTS = "/api/v1/users/me/", "/api/v1/flags/", "/api/v1/segments/"


def caller(token: str, **headers: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", **headers)
    return client


def row_of(token: str) -> ApiKey:
    return ApiKey.objects.get(prefix=prefix_of(token))
