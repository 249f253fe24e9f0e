"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest

from featureflags.models import SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory
from tests.featureflags.editing.history.writes import PRO


@pytest.fixture
def member() -> SegmentMember:
    return SegmentMemberFactory.create(segment=SegmentFactory.create(key="beta", rules=PRO))
