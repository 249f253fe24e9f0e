"""A change that is proposed, or made at a later time, instead of being made at once.

`confirm.write` raises Planned inside the transaction of its view, so nothing is written. `plan_instead`
then stores the changes, and goes to the page of the proposal.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.admin.shared.pages import user_of
from featureflags.editing import Approval, Examination, check_due, make_plan, moment_in_words
from featureflags.models import PlannedChange

LATER: Final = "_later"
"""The button “Save at …”."""
DUE: Final = "_due"
HOW: Final = "_how"
EMERGENCY: Final = "emergency"
"""The value of the button that saves without an approval."""
BYPASS: Final = "featureflags.bypass_plannedchange"


class Planned(Exception):
    """Nothing is written now: these changes are proposed, or scheduled."""

    def __init__(
        self,
        examinations: Sequence[Examination],
        source: str,
        note: str,
        due_at: datetime.datetime | None,
    ) -> None:
        super().__init__("; ".join(each.key for each in examinations))
        self.examinations, self.source, self.note = tuple(examinations), source, note
        self.due_at = due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The fields of the page that asks: when, and whether it is an emergency."""

    due: str
    """As it was typed."""
    zone: str
    problem: str
    """Of the instant; empty: none."""
    needs_approval: bool
    may_bypass: bool
    lacks_note: bool
    """An emergency was asked for without a note."""
    is_open: bool
    """The instant is asked for."""


def when_of(request: HttpRequest, examinations: Sequence[Examination]) -> When:
    """What was sent, and what is wrong with it."""
    return When(
        due=request.POST.get(DUE, ""),
        zone=timezone.get_current_timezone_name(),
        problem=_due_problem(request),
        needs_approval=any(each.needs_approval for each in examinations),
        may_bypass=request.user.has_perm(BYPASS),
        lacks_note=is_emergency(request) and not request.POST.get("note", "").strip(),
        is_open=LATER in request.POST or bool(request.POST.get(DUE)),
    )


def is_emergency(request: HttpRequest) -> bool:
    """True if the button was pressed by somebody who may."""
    return request.POST.get(HOW) == EMERGENCY and request.user.has_perm(BYPASS)


def is_answered(request: HttpRequest, examinations: Sequence[Examination]) -> bool:
    """True if the instant is valid, and an emergency has a note."""
    when = when_of(request, examinations)
    needs_note = when.needs_approval and when.lacks_note
    return not (when.problem or needs_note)


def due_of(request: HttpRequest) -> datetime.datetime | None:
    """The instant that was asked for; None: none. Raises ValidationError."""
    text = request.POST.get(DUE, "").strip()
    if not text:
        if LATER in request.POST and HOW in request.POST:
            raise ValidationError(_("Choose a date and a time."))
        return None
    due_at: datetime.datetime = forms.DateTimeField().clean(text)
    check_due(due_at)
    return due_at


def _due_problem(request: HttpRequest) -> str:
    try:
        due_of(request)
    except ValidationError as error:
        return str(error.messages[0])
    return ""


def approval_or_plan(
    request: HttpRequest, examinations: Sequence[Examination], source: str, note: str
) -> Approval | None:
    """The approval with which to write these changes now. Raises Planned where they are not."""
    due_at = due_of(request)
    needs_approval = any(each.needs_approval for each in examinations)
    if needs_approval and is_emergency(request):
        return Approval(is_emergency=True)
    if needs_approval or due_at is not None:
        raise Planned(examinations, source, note, due_at)
    return None


def plan_instead(request: HttpRequest, planned: Planned) -> HttpResponse:
    """Store the changes, and go to the proposal, or to the list of several."""
    with transaction.atomic():
        plans = [
            make_plan(
                each,
                author=user_of(request),
                source=planned.source,
                note=planned.note,
                due_at=planned.due_at,
            )
            for each in planned.examinations
            if not each.change.is_nothing
        ]
    if not plans:
        messages.info(request, _("Nothing has changed: all of it was stored already."))
    for plan in plans:
        messages.success(request, _made_in_words(plan))
    if len(plans) == 1:
        return HttpResponseRedirect(proposal_address(plans[0]))
    return HttpResponseRedirect(reverse("admin:featureflags_proposals"))


def proposal_address(plan: PlannedChange) -> str:
    return reverse("admin:featureflags_proposal", args=[plan.pk])


def _made_in_words(plan: PlannedChange) -> str:
    shown = {
        "segment": plan.segment_key,
        "when": "" if plan.due_at is None else moment_in_words(plan.due_at),
    }
    if plan.state == PlannedChange.State.SCHEDULED:
        return _("The change of “%(segment)s” is scheduled for %(when)s.") % shown
    if plan.due_at is not None:
        return _("The change of “%(segment)s” is proposed for %(when)s.") % shown
    return _("The change of “%(segment)s” is proposed. It waits for an approval.") % shown
