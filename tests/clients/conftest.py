"""Whom the clients ask about."""

from __future__ import annotations

import pytest

from tests.clients.flags import flags
from tests.conftest import FlagFile
from tests.factories import UserFactory
from users.models import User


@pytest.fixture
def ada(flag_file: FlagFile, transactional_db: None) -> User:
    """An employee, and flags of each type and status."""
    flag_file(*flags())
    return UserFactory.create(employee=True)
