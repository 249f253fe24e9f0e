"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest

from featureflags.capture import own_writes
from featureflags.models import OutboxEvent
from tests.factories import UserFactory
from tests.featureflags.capture.listening import Listener
from users.models import User


@pytest.fixture
def user() -> User:
    made: User = UserFactory.create(email="ada@example.com")
    return made


@pytest.fixture
def listener(user: User, monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener()
    monkeypatch.setattr(own_writes, "_noted", [made.note])
    monkeypatch.setattr(own_writes, "_committed", [made.notify])
    OutboxEvent.objects.all().delete()
    made.notified.clear()
    return made


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is not notified, so that the outbox keeps what the triggers wrote."""
    monkeypatch.setattr(own_writes, "_committed", [])
