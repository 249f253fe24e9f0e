"""A segment with members, and changes of it for the history."""

from __future__ import annotations

from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.factories import clause, rule

PRO = [rule(clause("custom_plan", "in", "pro"))]

TEAM = [rule(clause("custom_plan", "in", "team"))]


def since(pk: int) -> list[HistoryEntry]:
    return list(HistoryEntry.objects.filter(pk__gt=pk).order_by("pk"))


def changed_rules(segment: Segment, _member: SegmentMember) -> None:
    segment.rules = TEAM
    segment.save()
