"""A row of the outbox that says "everybody" begins one epoch, and not one with each later write."""

from __future__ import annotations

import pytest

from featureflags.cache import outbox
from featureflags.models import OutboxEvent
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]


def test_a_row_is_heeded_once() -> None:
    """As `migrate` leaves it where rows were there before: a warm-up that writes would never end."""
    before = outbox.in_force().epoch
    OutboxEvent.objects.create(kind="user", keys=None)
    OutboxEvent.objects.create(kind="user", keys=None)
    UserFactory.create()
    begun = outbox.in_force().epoch
    assert begun != before
    for _ in range(3):
        UserFactory.create()
    assert outbox.in_force().epoch == begun
    assert not OutboxEvent.objects.exists()
