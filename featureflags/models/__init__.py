"""The tables of this app, a file for each subject. Others import them from here."""

from __future__ import annotations

from featureflags.models.flag_counts import FlagCount
from featureflags.models.history import AppendOnly, HistoryEntry, HistoryMember
from featureflags.models.outbox import OutboxEvent
from featureflags.models.pending_invalidations import PendingInvalidation
from featureflags.models.scheduled_runs import ScheduledRun
from featureflags.models.segment_sizes import SegmentCount, SegmentSize, UserCount
from featureflags.models.segments import (
    KEY,
    RuleProblem,
    Segment,
    SegmentMember,
    StaleSegment,
    segment_graph,
)
from featureflags.models.versions import RulesetVersion
from featureflags.models.warm_runs import WarmRange, WarmRun

__all__ = [
    "KEY",
    "AppendOnly",
    "FlagCount",
    "HistoryEntry",
    "HistoryMember",
    "OutboxEvent",
    "PendingInvalidation",
    "RuleProblem",
    "RulesetVersion",
    "ScheduledRun",
    "Segment",
    "SegmentCount",
    "SegmentMember",
    "SegmentSize",
    "StaleSegment",
    "UserCount",
    "WarmRange",
    "WarmRun",
    "segment_graph",
]
