"""A segment that a flag uses, whose changes need an approval, and one that no flag uses."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.admin.proposals.deciding import (
    person,
)
from tests.featureflags.admin.shared.confirming import PRO
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule


@pytest.fixture(autouse=True)
def approvals(settings: Settings, flag_file: FlagFile) -> None:
    use(settings, APPROVE_LIVE_SEGMENTS=True)
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


@pytest.fixture
def quiet() -> Segment:
    return SegmentFactory.create(key="quiet", name="Quiet", rules=PRO)


@pytest.fixture
def ada() -> Client:
    return person()


@pytest.fixture
def ben() -> Client:
    return person("approve_plannedchange")
