"""A segment that a flag uses, and two people: a change of it needs an approval."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.editing.changing import PRO
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User


@pytest.fixture(autouse=True)
def approvals(settings: Settings, flag_file: FlagFile) -> None:
    """A flag that is on uses `beta`, and no other segment."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "APPROVE_LIVE_SEGMENTS": True}
    flag_file(boolean_flag("new", rules=[segment_rule("beta")]))


@pytest.fixture
def segment() -> Segment:
    return SegmentFactory.create(key="beta", name="Beta", rules=PRO)


@pytest.fixture
def ada() -> User:
    return UserFactory.create()


@pytest.fixture
def ben() -> User:
    """Who may approve."""
    return UserFactory.create(superuser=True)
