"""The admin's first page: stored numbers only, so that it costs the same at any size.

Hidden SQL: one query each for users by day, for the largest segments with their sizes, for their
daily counts, for the number of segments, for changes that wait, for those that were refused, for emergencies,
and for the last cache warm-ups; and see `featureflags.editing.impossible`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from featureflags.admin.charts import Point
from featureflags.audience import KEPT_DAYS, daily_counts
from featureflags.cache import counters
from featureflags.cache.counters import AnswerCounts, today
from featureflags.editing import impossible, plans
from featureflags.models import (
    HistoryEntry,
    PlannedChange,
    Segment,
    SegmentSize,
    UserCount,
    WarmRange,
    WarmRun,
)

SEGMENTS: Final = 12
"""Largest segments on the page; it links to the list of all."""
WARM_UPS: Final = 3
PLANS: Final = 8
"""Changes that wait on the page; it links to the list of all."""
EXAMINED: Final = 50
"""Changes that wait, of which the page says whether they still can be made; the first due first."""
WEEK: Final = 7
USAGE_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """How many users there are, as last counted, and the trend."""

    users: int
    seen_today: int
    seen_within_7_days: int
    seen_within_30_days: int
    counted_at: datetime.datetime
    by_day: tuple[Point, ...]
    """All users, the oldest day first."""
    active_by_day: tuple[Point, ...]
    """Users seen within 7 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLine:
    """One segment with its stored size."""

    key: str
    name: str
    at_least: int
    is_exact: bool
    is_outdated: bool
    share: float
    """Of all users when it was counted, from 0 to 1."""
    by_day: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The largest segments, and how many there are."""

    total: int
    counted_at: datetime.datetime | None
    """When the oldest of these sizes was counted."""
    largest: tuple[SegmentLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How many evaluations there were, and how many were degraded. Days are in UTC."""

    today: int
    week: int
    by_day: tuple[Point, ...]
    """Evaluations."""
    counted: AnswerCounts
    """Of seven days with today."""

    @property
    def degraded(self) -> int:
        """Degradations in these days. One answer may have several."""
        return sum(self.counted.degraded.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """One warm-up of the cache."""

    pk: int
    state: str
    is_running: bool
    has_failed: bool
    started_at: datetime.datetime
    users: int
    planned: int
    percent: int


def users_part() -> Users | None:
    """None if they were never counted."""
    since = timezone.localdate() - datetime.timedelta(days=KEPT_DAYS)
    rows = list(UserCount.objects.filter(day__gt=since).order_by("day"))
    if not rows:
        return None
    last = rows[-1]
    return Users(
        users=last.users,
        seen_today=last.seen_today,
        seen_within_7_days=last.seen_within_7_days,
        seen_within_30_days=last.seen_within_30_days,
        counted_at=last.counted_at,
        by_day=points({row.day: row.users for row in rows}),
        active_by_day=points({row.day: row.seen_within_7_days for row in rows}),
    )


def segments_part() -> Segments:
    """Inactive segments have no members, and are left out."""
    sizes = SegmentSize.objects.filter(segment__is_active=True).select_related("segment")
    largest = list(sizes.order_by("-at_least", "segment__key")[:SEGMENTS])
    counts = daily_counts(size.segment.key for size in largest)
    return Segments(
        total=Segment.objects.filter(is_active=True).count(),
        counted_at=min((size.counted_at for size in largest), default=None),
        largest=tuple(
            SegmentLine(
                key=size.segment.key,
                name=size.segment.name,
                at_least=size.at_least,
                is_exact=size.is_exact,
                is_outdated=size.is_outdated,
                share=size.at_least / size.users if size.users else 0.0,
                by_day=points({row.day: row.at_least for row in counts[size.segment.key]}),
            )
            for size in largest
        ),
    )


def answers_part() -> Answers:
    """From the cache alone: no query."""
    days = counters.read_usage().days
    now = today()
    shown = [now - datetime.timedelta(number) for number in range(USAGE_DAYS)]
    week = shown[:WEEK]
    return Answers(
        today=days.get(now, 0),
        week=sum(days.get(day, 0) for day in week),
        by_day=points({day: days[day] for day in sorted(shown) if day in days}),
        counted=counters.read_answers(WEEK),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Changes of segments that are still to be made, and those that were made without an approval."""

    planned: tuple[PlannedChange, ...]
    more: int
    emergencies: tuple[HistoryEntry, ...]
    """Of seven days, the newest first."""
    unmade: tuple[tuple[PlannedChange, str], ...]
    """What cannot be made any more, and what was refused in seven days when it was due; with the reason."""


def waiting_part() -> Waiting:
    """The first due first; what waits for an approval without an instant comes first."""
    rows = list(plans("open").order_by(F("due_at").asc(nulls_first=True), "pk")[: PLANS + 1])
    since = timezone.now() - datetime.timedelta(days=WEEK)
    emergencies = HistoryEntry.objects.filter(is_emergency=True, at__gte=since)
    refused = plans(PlannedChange.State.REFUSED).exclude(problem="").filter(decided_at__gte=since)
    waiting = list(plans("open").order_by(F("due_at").asc(nulls_last=True), "pk")[:EXAMINED])
    reasons = impossible(waiting)
    return Waiting(
        planned=tuple(rows[:PLANS]),
        more=max(0, len(rows) - PLANS),
        emergencies=tuple(emergencies.select_related("actor").order_by("-at")[:PLANS]),
        unmade=(
            *((plan, reasons[plan.pk]) for plan in waiting if plan.pk in reasons),
            *((plan, plan.problem) for plan in refused.order_by("-decided_at")[:PLANS]),
        ),
    )


def warm_ups_part() -> tuple[WarmUp, ...]:
    """The last warm-ups, the newest first."""
    done = Count("ranges", filter=Q(ranges__state=WarmRange.State.DONE))
    read = Sum("ranges__users_read", default=0)
    rows = WarmRun.objects.annotate(done=done, read=read)
    return tuple(_warm_up(row) for row in rows.order_by("-pk")[:WARM_UPS])


def _warm_up(row: WarmRun) -> WarmUp:
    done, read = getattr(row, "done", 0), getattr(row, "read", 0)
    is_done = row.state == WarmRun.State.DONE
    return WarmUp(
        pk=row.pk,
        state=row.get_state_display(),
        is_running=row.state == WarmRun.State.RUNNING,
        has_failed=row.state == WarmRun.State.FAILED,
        started_at=row.started_at,
        users=read,
        planned=row.users_planned,
        percent=100 if is_done else done * 100 // max(1, row.ranges_planned),
    )


def points(days: Mapping[datetime.date, int]) -> tuple[Point, ...]:
    """A line over days; missing days leave a gap."""
    return tuple(
        Point(at=day.toordinal(), value=value, label=day.isoformat()) for day, value in days.items()
    )
