"""A site on which no flag targets anything, and a superuser with a session."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.users.api.conftest import Caller
from users.models import User


@pytest.fixture(autouse=True)
def a_quiet_site(flag_file: FlagFile) -> None:
    """No flag targets anything, and one user more or less is less than a tenth of all."""
    User.objects.bulk_create(User(email=f"crowd{n}@example.com") for n in range(300))


@pytest.fixture
def root(by_session: Caller) -> APIClient:
    return by_session(UserFactory.create(superuser=True))
