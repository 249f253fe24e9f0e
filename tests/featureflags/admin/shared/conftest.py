"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest
from django.test import Client

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.admin.shared.confirming import PRO
from tests.services.flag_json import boolean_flag, segment_rule


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> FlagFile:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    return flag_file


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"pro{number}@example.com", metadata={"plan": "pro"})
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


@pytest.fixture
def quiet() -> Segment:
    """One that no flag targets and that moves nobody."""
    return SegmentFactory.create(key="quiet", name="Quiet")
