"""Fixtures of the tests of this folder."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import UserFactory


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client
