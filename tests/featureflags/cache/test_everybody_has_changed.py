"""A row of the outbox that says "everybody" begins one epoch, and not one with each later write."""

from __future__ import annotations

import pytest

from featureflags.cache import outbox
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]


def test_a_row_is_heeded_once() -> None:
    """As `migrate` leaves it in a project that adopts Guidon: no cache is known yet, so that the row stays, and
    a warm-up that began an epoch with each of its own writes never ended."""
    UserFactory.create()
    RulesetVersion.objects.update(identity="")
    before = outbox.in_force().epoch
    OutboxEvent.objects.create(kind="user", keys=None)
    begun = outbox.in_force().epoch
    assert begun != before
    for _ in range(3):
        UserFactory.create()
    assert outbox.in_force().epoch == begun
    assert OutboxEvent.objects.filter(keys__isnull=True).exists()
