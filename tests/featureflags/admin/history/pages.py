"""The pages of a segment's history, and what the tests read from them."""

from __future__ import annotations

from django.urls import reverse

from featureflags.models import HistoryEntry, Segment
from tests.factories import clause, rule

PRO = [rule(clause("custom_plan", "in", "pro"), description="Paying")]

TEAM = [rule(clause("custom_plan", "in", "pro", "team"), description="Paying")]

DELETED = reverse("admin:featureflags_deleted_segments")


def history(segment: Segment | str) -> str:
    key = segment if isinstance(segment, str) else segment.key
    return reverse("admin:featureflags_segment_changes", args=[key])


def restore(change: HistoryEntry) -> str:
    return reverse("admin:featureflags_segment_restore", args=[change.pk])


def first(key: str) -> HistoryEntry:
    change = HistoryEntry.objects.filter(segment_key=key).last()
    assert change is not None
    return change


def last(key: str) -> HistoryEntry:
    change = HistoryEntry.objects.filter(segment_key=key).first()
    assert change is not None
    return change
