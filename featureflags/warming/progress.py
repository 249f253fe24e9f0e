"""The report of a run, current or ended, for people and programs: frozen values, no rows."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from featureflags.models import WarmRange, WarmRun
from featureflags.warming.runs import scope_of

MOST_LISTED = 100
State = WarmRun.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A range that is not done: keys from `first` to before `until`, None where it is open."""

    number: int
    state: str
    first: str | None
    until: str | None
    users: int
    attempts: int
    error: str

    def __str__(self) -> str:
        text = f"range {self.number}, {self.first or 'the lowest key'} to before"
        text += f" {self.until or 'the end'}: {self.users} users, {self.attempts} attempts"
        return f"{text}. {self.error}" if self.error else f"{text}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run at one moment. `read` = `written` + `kept` + `failed`, in users."""

    run: int
    state: State
    whom: str
    users: int
    """How many there were at the start."""
    ranges: int
    ranges_done: int
    ranges_running: int
    ranges_failed: int
    read: int
    written: int
    kept: int
    """The entry was good, or another write was changing it: it was left alone."""
    failed: int
    """The cache did not accept them."""
    spare: bool
    """True if the rules were cached, for processes that start while the database is down."""
    error: str
    seconds: float
    idle_seconds: float
    """Since the last progress."""
    unfinished: tuple[Unfinished, ...]
    """The first `MOST_LISTED` of the ranges that are not done."""

    @property
    def succeeded(self) -> bool:
        return self.state is State.DONE

    @property
    def ended(self) -> bool:
        return self.state is not State.RUNNING

    @property
    def rate(self) -> int:
        """Users read in a second."""
        return round(self.read / max(self.seconds, 0.001))

    @property
    def percent(self) -> int:
        if self.state is State.DONE:
            return 100
        return min(99, self.read * 100 // self.users) if self.users else 0

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "state": self.state.value,
            "seconds": round(self.seconds, 3),
            "idle_seconds": round(self.idle_seconds, 3),
            "rate": self.rate,
        }

    def __str__(self) -> str:
        text = (
            f"{self.read} users read, {self.written} written, {self.kept} kept as they were, "
            f"{self.failed} failed, {self.seconds:.1f} s, {self.rate:,} a second."
        )
        if not self.succeeded:
            left = self.ranges - self.ranges_done
            text += f" {self.state.label}: {left} of {self.ranges} ranges are not done."
        if self.error:
            text += f" {self.error}"
        return text if self.spare else text + " The cache did not take the segments."


def report(run: int) -> Report:
    """The run as it is now: three queries. Raises WarmRun.DoesNotExist."""
    row = WarmRun.objects.get(pk=run)
    sums = row.ranges.aggregate(
        done=Count("pk", filter=Q(state=WarmRange.State.DONE)),
        running=Count("pk", filter=Q(state=WarmRange.State.RUNNING)),
        worn_out=Count("pk", filter=Q(state=WarmRange.State.FAILED)),
        read=Sum("users_read", default=0),
        written=Sum("users_written", default=0),
        kept=Sum("users_kept", default=0),
        failed=Sum("users_failed", default=0),
    )
    now = timezone.now()
    return Report(
        run=row.pk,
        state=State(row.state),
        whom=str(scope_of(row)),
        users=row.users_planned,
        ranges=row.ranges_planned,
        ranges_done=sums["done"],
        ranges_running=sums["running"],
        ranges_failed=sums["worn_out"],
        read=sums["read"],
        written=sums["written"],
        kept=sums["kept"],
        failed=sums["failed"],
        spare=row.spare,
        error=row.error,
        seconds=_seconds(row.started_at, row.finished_at or now),
        idle_seconds=_seconds(row.progressed_at, row.finished_at or now),
        unfinished=_unfinished(row),
    )


def _seconds(since: datetime.datetime, until: datetime.datetime) -> float:
    return max(0.0, (until - since).total_seconds())


def _unfinished(run: WarmRun) -> tuple[Unfinished, ...]:
    rows = run.ranges.exclude(state=WarmRange.State.DONE).order_by("number")[:MOST_LISTED]
    return tuple(
        Unfinished(
            number=row.number,
            state=row.state,
            first=row.first or None,
            until=row.until or None,
            users=row.users_planned,
            attempts=row.attempts,
            error=row.error,
        )
        for row in rows
    )
