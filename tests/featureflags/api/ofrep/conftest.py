"""Flags of each type of value and each status, and an employee."""

from __future__ import annotations

import pytest

from tests.clients.flags import flags
from tests.conftest import FlagFile
from tests.factories import UserFactory
from users.models import User


@pytest.fixture(autouse=True)
def some_flags(flag_file: FlagFile) -> None:
    flag_file(*flags())


@pytest.fixture
def ada() -> User:
    return UserFactory.create(employee=True)
