"""Fixtures that several modules of this folder use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.contexts.sending import EMAIL, HERE, METADATA, NAME, SECRET
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag, segment_rule
from users.models import User

FAR_FUTURE = 99_999_999_999_999
"""Milliseconds: until then a flag sends debug events."""


@pytest.fixture
def launchdarkly(settings: Settings) -> Iterator[LaunchDarklyServer]:
    beta = {
        **boolean_flag("beta", rules=[segment_rule("badged")], track_events=True),
        "debugEventsUntilDate": FAR_FUTURE,
    }
    with LaunchDarklyServer(beta) as server:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
            "RAISE_INVALID_ATTRIBUTES": False,
            "ATTRIBUTES": [f"{HERE}.BADGE"],
            "PRIVATE_ATTRIBUTES": ["email", "name"],
            "LAUNCHDARKLY_ATTRIBUTES": ["*", "custom_plan", "custom_vip_phone_ok"],
        }
        yield server


@pytest.fixture
def ada() -> User:
    SegmentFactory.create(key="badged", rules=[rule(clause("badge", "in", SECRET))])
    return UserFactory.create(email=EMAIL, name=NAME, metadata=dict(METADATA))
