"""A site on which no flag targets anything, and a key of a superuser."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from tests.conftest import FlagFile
from tests.factories import (
    SegmentFactory,
    UserFactory,
)
from tests.users.api.conftest import Caller
from users.models import User


@pytest.fixture(autouse=True)
def a_quiet_site(flag_file: FlagFile) -> None:
    """No flag targets anything, and one user more or less is less than a tenth of all."""
    User.objects.bulk_create(User(email=f"crowd{n}@example.com") for n in range(100))
    SegmentFactory.create(key="beta")


@pytest.fixture
def root(by_key: Caller) -> APIClient:
    return by_key(UserFactory.create(superuser=True))
