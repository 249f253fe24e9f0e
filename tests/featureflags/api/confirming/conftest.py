"""A segment that a flag targets, and who changes it."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.api.confirming.segment import PRO
from tests.services.flag_json import boolean_flag, segment_rule
from tests.users.api.conftest import Caller
from users.models import User


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> FlagFile:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    return flag_file


@pytest.fixture
def actor() -> User:
    return UserFactory.create(superuser=True, name="Root")


@pytest.fixture
def root(by_session: Caller, actor: User) -> APIClient:
    return by_session(actor)


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"pro{number}@example.com", metadata={"plan": "pro"})
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)
