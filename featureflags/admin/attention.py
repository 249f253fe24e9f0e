"""What needs attention, for the top of the admin's first page: each thing with a link to where it is.

Hidden SQL: one query for the keys of segments, where the reader may see them. No events are sent.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Final

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.dashboard import Answers, Segments, Waiting, WarmUp
from featureflags.admin.shared.pages import Link
from featureflags.core.types import Account
from featureflags.evaluation import looking
from featureflags.inspection import flags_using_segment
from featureflags.launchdarkly.client import feature_store
from featureflags.launchdarkly.evaluator import connect
from featureflags.launchdarkly.status import State, connection_status
from featureflags.models import PlannedChange, Segment

LATE: Final = datetime.timedelta(hours=3)
"""Sizes are counted each hour: older ones show that the task does not run."""

APPROVE: Final = "featureflags.approve_plannedchange"
ANSWERS: Final = "#dashboard-answers"
CONNECTION: Final = "#launchdarkly-connection"
SEGMENTS: Final = "#dashboard-segments"
WARM_UPS: Final = "#dashboard-warm-ups"


def of_answers(answers: Answers) -> Iterator[Link]:
    """The cache, LaunchDarkly, and answers that were not as they should be."""
    if answers.counted.failed:
        yield Link(text=_("The cache does not answer."), href=ANSWERS)
    connect()
    if connection_status().state in {State.INITIALIZING, State.INTERRUPTED, State.NOT_STARTED}:
        yield Link(text=_("LaunchDarkly cannot be reached."), href=CONNECTION)
    if answers.degraded:
        text = ngettext(
            "%(number)s degraded answer in seven days",
            "%(number)s degraded answers in seven days",
            answers.degraded,
        )
        yield Link(text=text % {"number": f"{answers.degraded:,}"}, href=ANSWERS)
    for outage in answers.counted.outages:
        said = {"server": outage.server, "seconds": f"{outage.seconds:,}"}
        text = _("%(server)s did not answer for %(seconds)s seconds in seven days")
        yield Link(text=text % said, href=ANSWERS)


def of_segments(segments: Segments) -> Iterator[Link]:
    """Segments that flags name and that do not exist, and sizes that are not counted any more."""
    with looking():
        named = flags_using_segment.named_segments(feature_store().raw())
    known = set(Segment.objects.filter(key__in=named).values_list("key", flat=True))
    for key in sorted(named.keys() - known):
        flag = named[key][0].flag
        text = _("The flag %(flag)s names the segment %(segment)s, which does not exist.")
        address = reverse("admin:featureflags_flag", args=[flag])
        yield Link(text=text % {"flag": flag, "segment": key}, href=address)
    if segments.counted_at is not None and segments.counted_at < timezone.now() - LATE:
        yield Link(text=_("The segments are not counted each hour any more."), href=SEGMENTS)


def of_waiting(waiting: Waiting, reader: Account) -> Iterator[Link]:
    """Changes that cannot be made, and those that wait for an approval which the reader may give: never of
    their own."""
    lost = {plan.pk for plan, _why in waiting.unmade}
    for plan, why in waiting.unmade:
        text = _("A change of %(segment)s cannot be made: %(why)s")
        if not plan.is_open:
            text = _("A change of %(segment)s was not made when it was due: %(why)s")
        address = reverse("admin:featureflags_proposal", args=[plan.pk])
        yield Link(text=text % {"segment": plan.segment_key, "why": why}, href=address)
    if not reader.has_perm(APPROVE):
        return
    for plan in waiting.planned:
        is_theirs = plan.state == PlannedChange.State.PROPOSED and plan.author_id != reader.pk
        if is_theirs and plan.pk not in lost:
            text = _("A change of %(segment)s waits for your approval.")
            address = reverse("admin:featureflags_proposal", args=[plan.pk])
            yield Link(text=text % {"segment": plan.segment_key}, href=address)


def of_warm_ups(warm_ups: Sequence[WarmUp]) -> Iterator[Link]:
    """The last warm-up, if it has failed."""
    if warm_ups and warm_ups[0].has_failed:
        yield Link(text=_("The last cache warm-up has failed."), href=WARM_UPS)
