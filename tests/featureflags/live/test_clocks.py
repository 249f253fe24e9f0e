"""Changes by the clock alone: a membership that ends, an account that is a day older."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.kinds.attribute import Attribute
from featureflags.kinds.snapshot import Address
from featureflags.live import clocks
from featureflags.live.clocks import Clocks
from featureflags.models import Segment
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.time_attributes import CurrentTime
from tests.clock import Clock
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.api.using import use
from tests.featureflags.live.asking import bulk, settled, stream_of
from tests.featureflags.live.reader import reading
from tests.services.processes import WebProcess
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 2.0
"""Seconds from the write to the change by the clock. Of the write itself there is a message at once."""
EARLIEST = 0.05
"""A message of the change may come that much too early: two clocks measure it."""
DAYS = 30
TIME = CurrentTime()
NOW = Attribute(
    name="now",
    label="The time",
    type=AttributeType.DATETIME,
    value=lambda _snapshot, now: TIME.value(now),
    clock=lambda _snapshot: TIME,
)
"""An attribute that is never the same twice."""


@pytest.fixture
def beta(transactional_db: None) -> Segment:
    return Segment.objects.create(key="beta", name="Beta")


def until(seconds: float) -> Any:
    return timezone.now() + timedelta(seconds=seconds)


def almost(days: int, seconds: float) -> Any:
    """When an account was made that is so many days old in some seconds."""
    return timezone.now() - timedelta(days=days) + timedelta(seconds=seconds)


def value_of(web: WebProcess, user: User) -> object:
    return next(each["value"] for each in bulk(web, user)["flags"])


def test_a_membership_that_ends_sends_a_message(web: WebProcess, ada: User, beta: Segment) -> None:
    member = SegmentMemberFactory.create(segment=beta, user=ada)
    assert value_of(web, ada) is True
    with (
        reading(stream_of(web, ada)) as mine,
        reading(stream_of(web, UserFactory.create())) as theirs,
    ):
        settled(web, mine)
        settled(web, theirs)
        began = time.monotonic()
        member.expires_at = until(SOON)
        member.save()
        mine.wait_for_one_after(began + SOON - EARLIEST)
        assert value_of(web, ada) is False
        assert max(theirs.messages) < began + SOON - EARLIEST


def test_an_account_that_enters_by_its_age_sends_a_message(
    web: WebProcess, ada: User, beta: Segment
) -> None:
    beta.rules = [rule(clause("account_age_days", "greaterThanOrEqual", DAYS))]
    beta.save()
    User.objects.filter(pk=ada.pk).update(created_at=timezone.now())
    # Written while the stream is open: what is known of the row is computed anew.
    with reading(stream_of(web, ada)) as mine:
        settled(web, mine)
        assert value_of(web, ada) is False
        began = time.monotonic()
        User.objects.filter(pk=ada.pk).update(created_at=almost(DAYS, SOON))
        mine.wait_for_one_after(began + SOON - EARLIEST)
        assert value_of(web, ada) is True


class TestClocks:
    """The rows themselves, without a server."""

    def test_each_change_is_noticed_once(self, clock: Clock, ada: User, beta: Segment) -> None:
        SegmentMemberFactory.create(segment=beta, user=ada, expires_at=until(0.8))
        known, key = Clocks(), str(ada.pk)
        known.learn([key])
        assert known.ticked([key]) == set()
        clock.forward(1.0)
        assert known.ticked([key]) == {key}
        assert known.ticked([key]) == set()

    def test_what_is_computed_anew_follows_the_new_rules(
        self, clock: Clock, ada: User, beta: Segment
    ) -> None:
        known, key = Clocks(), str(ada.pk)
        known.learn([key])
        SegmentMemberFactory.create(segment=beta, user=ada, expires_at=until(0.8))
        known.learn([key], again=False)
        clock.forward(1.0)
        assert known.ticked([key]) == set(), "nothing was computed again"
        known.learn([key])
        assert known.ticked([key]) == set(), "the membership is over by now"

    def test_other_rows_are_forgotten(self, ada: User) -> None:
        other, known = UserFactory.create(), Clocks()
        known.learn([str(ada.pk), str(other.pk)])
        known.keep([str(other.pk)])
        assert set(known._known) == {str(other.pk)}

    def test_nobody_and_a_kind_that_is_not_declared_here(self, transactional_db: None) -> None:
        known = Clocks()
        rows: list[Address] = ["6d0c3a52-0000-4000-8000-000000000000", ("spaceship", "x")]
        known.learn(rows)
        assert known.ticked(rows) == set()
        assert set(known._known) == {rows[0]}


def test_the_time_itself_is_noticed_once_a_minute_and_segments_at_once(
    clock: Clock,
    ada: User,
    beta: Segment,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(settings, ATTRIBUTES=[f"{__name__}.NOW"])
    monkeypatch.setattr(clocks, "SOONEST", 0)
    known, key = Clocks(), str(ada.pk)
    known.learn([key])
    SegmentMemberFactory.create(segment=beta, user=ada, expires_at=until(2.0))
    known.learn([key])
    clock.forward(0.01)
    assert known.ticked([key]) == {key}
    clock.forward(0.01)
    assert known.ticked([key]) == set(), "an attribute alone is noticed once in a minute"
    clock.forward(2.0)
    assert known.ticked([key]) == {key}, "the segment"
    monkeypatch.setattr(clocks, "ATTRIBUTE_SECONDS", 0.0)
    clock.forward(0.01)
    assert known.ticked([key]) == {key}
