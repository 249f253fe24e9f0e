"""Sizes that jump: in one step or in several within an hour, announced once."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from featureflags.audience import size_jumps
from featureflags.audience.size_jumps import Count, add_count, jump_to
from featureflags.audience.stored_sizes import count_everything
from featureflags.models import EventType, Segment, SegmentSize, Webhook, WebhookDelivery
from tests.factories import SegmentFactory, UserFactory, clause, rule

MINUTE = 60
TEN = datetime.datetime(2026, 3, 1, 10, tzinfo=datetime.UTC)


def exact(minute: float, size: int) -> Count:
    return Count(round(minute * MINUTE), size, size)


def announced(*counts: tuple[float, int]) -> list[tuple[int, int]]:
    """The sizes between which a segment with these counts (minute, size) jumps."""
    kept: list[Count] = []
    found = []
    for minute, size in counts:
        now = exact(minute, size)
        before = jump_to(now, kept, percent=20)
        kept = add_count(kept, now) if before is None else [now]
        if before is not None:
            found.append((before.at_most, size))
    return found


def test_one_step() -> None:
    assert announced((0, 100), (60, 119)) == []
    assert announced((0, 100), (60, 120)) == [(100, 120)]
    assert announced((0, 100), (60, 80)) == [(100, 80)]


def test_small_steps_within_an_hour_add_up() -> None:
    assert announced((0, 100), (20, 110), (40, 121)) == [(100, 121)]
    assert announced((0, 100), (20, 90), (40, 79)) == [(100, 79)]
    # From the lowest and the highest of the hour, not only from the first.
    assert announced((0, 110), (10, 100), (20, 121)) == [(100, 121)]


def test_the_same_steps_in_more_time_do_not() -> None:
    assert announced((0, 100), (60, 110), (120, 120), (180, 130)) == []
    assert announced((0, 100), (50, 110), (100, 119), (150, 128)) == []


def test_a_count_that_held_an_hour_ago_counts_whenever_it_was_made() -> None:
    # Nobody counted between; at 30 minutes the size was still known as 100.
    assert announced((0, 100), (65, 110), (90, 121)) == [(100, 121)]
    # The hourly counts of 10:00:02, 11:00:00 and 12:00:04: an hour apart, not two.
    assert announced((0.03, 100), (60, 112), (120.07, 122)) == []


def test_a_jump_is_announced_once_and_counted_from_there() -> None:
    jump = [(0, 100), (1, 130)]
    later = [(minute, 130 + minute % 3) for minute in range(2, 90)]
    assert announced(*jump, *later) == [(100, 130)]
    assert announced(*jump, (30, 157)) == [(100, 130), (130, 157)]


def test_bounds_that_may_be_the_same_are_no_jump() -> None:
    now = Count(MINUTE, 90, 300)
    assert jump_to(now, [Count(0, 100, 200)], percent=20) is None
    assert jump_to(Count(MINUTE, 240, 300), [Count(0, 100, 200)], percent=20) == Count(0, 100, 200)


def test_few_counts_are_kept() -> None:
    kept: list[Count] = []
    for second in range(0, 3 * 3600, 7):
        kept = add_count(kept, Count(second, 100, 100))
    assert len(kept) <= size_jumps.HOUR / MINUTE + 2
    assert kept[-1].at - kept[0].at >= size_jumps.HOUR - size_jumps.LATE - MINUTE


class Clock:
    """The time of Django, which a test moves."""

    def __init__(self) -> None:
        self.now = TEN

    def wait(self, minutes: int) -> None:
        self.now += datetime.timedelta(minutes=minutes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timezone, "now", lambda: made.now)
    return made


@pytest.mark.django_db
def test_stored_counts_by_the_clock(clock: Clock) -> None:
    def grow(minutes: int, more: int) -> list[str]:
        clock.wait(minutes)
        UserFactory.create_batch(more, metadata={"plan": "pro"})
        before = WebhookDelivery.objects.count()
        count_everything()
        return [row.body for row in WebhookDelivery.objects.order_by("pk")[before:]]

    Webhook.objects.create(
        name="chat", url="https://hooks.example.com/", events=[EventType.SEGMENT_SIZE_JUMPED]
    )
    Segment.objects.all().delete()
    SegmentFactory.create(key="pro", rules=[rule(clause("custom_plan", "in", "pro"))])
    assert grow(0, 100) == []
    assert grow(20, 9) == []
    assert grow(20, 9) == []
    (body,) = grow(15, 9)
    assert '"before":{"at_least":100,"at_most":100},"now":{"at_least":127,"at_most":127}' in body
    assert grow(1, 0) == []
    assert grow(58, 20) == []
    (body,) = grow(1, 6)
    assert '"before":{"at_least":127' in body


@pytest.mark.django_db
def test_sizes_of_an_earlier_release_are_compared(clock: Clock) -> None:
    Webhook.objects.create(name="chat", url="https://hooks.example.com/")
    Segment.objects.all().delete()
    SegmentFactory.create(key="pro", rules=[rule(clause("custom_plan", "in", "pro"))])
    UserFactory.create_batch(50, metadata={"plan": "pro"})
    count_everything()
    # It writes the size and not the counts of the hour.
    SegmentSize.objects.update(at_least=100, at_most=100, counted_at=TEN, recent=[])
    clock.wait(30)
    count_everything()
    jumps = WebhookDelivery.objects.filter(event=EventType.SEGMENT_SIZE_JUMPED)
    assert ['"segment":"pro"' in row.body for row in jumps] == [True]
