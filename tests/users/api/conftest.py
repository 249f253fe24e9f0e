"""Callers of the REST API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from tests.factories import token_for
from tests.featureflags.api.checked import (
    every_answer_is_documented as every_answer_is_documented,
)
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
def by_key() -> Caller:
    """A client that sends an API key of this user, which reads and writes."""

    def call_as(user: User) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(user)}")
        return client

    return call_as
