"""A site on which no flag targets anything, and a superuser with a session."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.api.using import use
from tests.users.api.conftest import Caller


@pytest.fixture(autouse=True)
def a_quiet_site(flag_file: FlagFile, settings: Settings) -> None:
    """No flag targets anything, and a few users need no confirmation, however many there are."""
    use(settings, CONFIRM_PERCENT=100)


@pytest.fixture
def root(by_session: Caller) -> APIClient:
    return by_session(UserFactory.create(superuser=True))
