"""Proposes changes and decides about them."""

from __future__ import annotations

from typing import Any

from featureflags.editing import approve, attempt_now, examine_plan, make_plan
from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.featureflags.editing.changing import change
from users.models import User


def proposed(segment: Segment, author: User | None, **fields: Any) -> PlannedChange:
    examined = change(segment, **fields)
    segment.refresh_from_db()
    return make_plan(examined, author=author, source="admin", note="For the launch")


def decide(plan: PlannedChange, approver: User) -> None:
    approve(plan, examine_plan(plan), approver=approver)
    attempt_now(plan)


def saved(**fields: Any) -> None:
    """By somebody else."""
    segment = Segment.objects.get(key="beta")
    for name, value in fields.items():
        setattr(segment, name, value)
    segment.save()


def last() -> HistoryEntry:
    return HistoryEntry.objects.latest("pk")
