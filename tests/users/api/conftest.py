"""Callers of the REST API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from users.models import User

Caller = Callable[[User], APIClient]


@pytest.fixture
def by_session() -> Caller:
    """A client that is logged in as this user, as a browser would be."""

    def call_as(user: User) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    return call_as


@pytest.fixture
def by_token() -> Caller:
    """A client that sends this user's token."""

    def call_as(user: User) -> APIClient:
        client = APIClient()
        token, _ = Token.objects.get_or_create(user=user)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token.key}")
        return client

    return call_as
