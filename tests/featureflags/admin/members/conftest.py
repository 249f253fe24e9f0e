"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest
from django.test import Client

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from users.models import User


@pytest.fixture
def a_quiet_site(flag_file: FlagFile) -> FlagFile:
    """No flag targets anything, and a few users are less than a tenth of all."""
    flag_file()
    User.objects.bulk_create(User(email=f"crowd{n}@example.com") for n in range(300))
    return flag_file


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True, email="root@agpt.co"))
    return client


@pytest.fixture
def beta() -> Segment:
    return SegmentFactory.create(key="beta", name="Beta")
