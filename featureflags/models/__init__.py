"""The tables of this app, one file for each subject.

In: writes to segments and members, in one transaction with their history and version. Out: rows;
other rooms import the models from here, and `changesets`, `stored_forms`, `validation` and `versions`
as modules.

>>> from featureflags.models import Segment
>>> staff = Segment(
...     key="staff",
...     name="Staff",
...     rules=[{"id": "1", "clauses": [{"attribute": "is_staff", "op": "in", "values": [True]}]}],
... )
>>> staff.is_active, staff.version
(True, 1)
"""

from __future__ import annotations

from featureflags.models.answered_writes import AnsweredWrite
from featureflags.models.api_keys import ApiKey, Scope, ServiceKey
from featureflags.models.drafts import SegmentDraft
from featureflags.models.flag_counts import FlagCount
from featureflags.models.history import AppendOnly, HistoryEntry, HistoryMember
from featureflags.models.members import SegmentMember
from featureflags.models.outbox import OutboxEvent
from featureflags.models.planned_changes import MailNotice, PlanComment, PlannedChange
from featureflags.models.refusals import RuleProblem, StaleSegment
from featureflags.models.saving import save_all
from featureflags.models.scheduled_runs import ScheduledRun
from featureflags.models.segment_sizes import SegmentCount, SegmentSize, UserCount
from featureflags.models.segments import KEY, Segment, problems_now, segment_graph
from featureflags.models.versions import RulesetVersion
from featureflags.models.warm_runs import WarmRange, WarmRun
from featureflags.models.webhooks import EventType, ObservedState, Webhook, WebhookDelivery

__all__ = [
    "KEY",
    "AnsweredWrite",
    "ApiKey",
    "AppendOnly",
    "EventType",
    "FlagCount",
    "HistoryEntry",
    "HistoryMember",
    "MailNotice",
    "ObservedState",
    "OutboxEvent",
    "PlanComment",
    "PlannedChange",
    "RuleProblem",
    "RulesetVersion",
    "ScheduledRun",
    "Scope",
    "Segment",
    "SegmentCount",
    "SegmentDraft",
    "SegmentMember",
    "SegmentSize",
    "ServiceKey",
    "StaleSegment",
    "UserCount",
    "WarmRange",
    "WarmRun",
    "Webhook",
    "WebhookDelivery",
    "api_keys",
    "changesets",
    "limits",
    "planned_changes",
    "problems_now",
    "save_all",
    "segment_graph",
    "stored_forms",
    "validation",
    "versions",
    "webhooks",
]
