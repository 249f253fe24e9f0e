"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.api.using import use


@pytest.fixture
def a_quiet_site(flag_file: FlagFile, settings: Settings) -> FlagFile:
    """No flag targets anything, and a few users need no confirmation, however many there are."""
    flag_file()
    use(settings, CONFIRM_PERCENT=100)
    return flag_file


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True, email="root@agpt.co"))
    return client


@pytest.fixture
def beta() -> Segment:
    return SegmentFactory.create(key="beta", name="Beta")
