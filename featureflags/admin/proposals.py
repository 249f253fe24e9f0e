"""Proposed and scheduled changes of segments: the list, and one with its numbers, comments and buttons.

Everybody who may view segments sees them. To approve takes a permission of its own, and somebody else than
the author; to withdraw, or to make a scheduled change at once, takes the permissions for the change itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.shared.confirm import TOKEN, is_confirmed_here, shown_change
from featureflags.admin.shared.pages import (
    SEGMENT,
    Link,
    change_link,
    kinds_seen,
    require,
    respond,
    segments_link,
    user_of,
)
from featureflags.admin.shared.planning import proposal_address
from featureflags.core.types import Account
from featureflags.editing import (
    APPROVE,
    Decided,
    Examination,
    NotPossible,
    OwnPlan,
    approve,
    attempt_now,
    comment,
    describe_plan,
    examine_plan,
    permissions_for,
    plans,
    propose_again,
    refuse,
    sign,
    wanted_by,
    withdraw,
)
from featureflags.models import PlannedChange, Segment

PAGE_SIZE: Final = 25
DO: Final = "_do"
TEXT: Final = "text"
WITH_TEXT: Final = frozenset({"comment", "refuse"})
"""Buttons whose step saves the comment by itself. With the others it is saved afterwards."""

State = PlannedChange.State
STATES: Final = (
    ("open", gettext_lazy("Open")),
    *((state.value, state.label) for state in State),
    ("", gettext_lazy("All")),
)


def proposals(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The list; `?state=` chooses, `open` by default."""
    require(request, SEGMENT)
    asked = request.GET.get("state", "open")
    state = asked if asked in dict(STATES) else "open"
    paginator = Paginator(plans(state), PAGE_SIZE)
    page = paginator.get_page(request.GET.get("p"))
    sees = kinds_seen(request)
    return respond(
        request,
        site,
        "admin/featureflags/proposals/list.html",
        title=_("Proposed and scheduled changes"),
        trail=[segments_link()],
        states=STATES,
        state=state,
        page=page,
        pages=paginator.get_elided_page_range(page.number),
        rows=[describe_plan(each, sees=sees, with_comments=False) for each in page.object_list],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the person may do with a proposal now."""

    approve: bool
    refuse: bool
    withdraw: bool
    make_now: bool
    again: bool
    is_author: bool


def proposal(request: HttpRequest, plan: int, *, site: AdminSite) -> HttpResponse:
    """One planned change. A POST decides about it, or comments."""
    require(request, SEGMENT)
    found = get_object_or_404(plans(), pk=plan)
    if request.method == "POST":
        answer = _do(request, found)
        if answer is not None:
            return answer
    return _page(request, site, found)


def _page(request: HttpRequest, site: AdminSite, plan: PlannedChange) -> HttpResponse:
    examined, problem = _examined(plan)
    rights = _rights(request, plan)
    segment = Segment.objects.filter(key=plan.segment_key).first()
    trail = [segments_link(), Link(text=_("Proposed"), href=_list_address())]
    if segment is not None:
        trail.insert(1, change_link(segment.pk, segment.key))
    return respond(
        request,
        site,
        "admin/featureflags/proposals/detail.html",
        title=_("Proposal %(number)d: %(segment)s")
        % {"number": plan.pk, "segment": plan.segment_key},
        trail=trail,
        plan=describe_plan(plan, sees=kinds_seen(request)),
        examined=None if examined is None else shown_change(request, examined),
        token="" if examined is None else sign([examined], user_of(request)),
        asked_before=TOKEN in request.POST and rights.approve,
        not_possible=problem,
        rights=rights,
        typed=request.POST.get(TEXT, ""),
    )


def _examined(plan: PlannedChange) -> tuple[Examination | None, str]:
    """What an open plan would do now, or why it cannot be made."""
    if not plan.is_open:
        return None, ""
    try:
        return examine_plan(plan), ""
    except NotPossible as error:
        return None, str(error)


def _rights(request: HttpRequest, plan: PlannedChange) -> Rights:
    actor = user_of(request)
    is_author = plan.author_id == actor.pk
    may_approve = actor.has_perm(APPROVE)
    may_make = actor.has_perms(permissions_for(wanted_by(plan)))
    return Rights(
        approve=plan.state == State.PROPOSED and may_approve and not is_author,
        refuse=plan.is_open and may_approve and not is_author,
        withdraw=plan.is_open and (is_author or may_make),
        make_now=plan.state == State.SCHEDULED and may_make,
        again=plan.state in {State.REFUSED, State.WITHDRAWN} and may_make,
        is_author=is_author,
    )


def _do(request: HttpRequest, plan: PlannedChange) -> HttpResponse | None:
    """What the button asks for. None: show the page again. Raises PermissionDenied."""
    asked = request.POST.get(DO, "")
    rights, actor = _rights(request, plan), user_of(request)
    steps: Mapping[str, tuple[bool, Callable[[], HttpResponse | None]]] = {
        "approve": (rights.approve, lambda: _approve(request, plan, actor)),
        "refuse": (rights.refuse, lambda: _refuse(request, plan, actor)),
        "withdraw": (rights.withdraw, lambda: _withdraw(request, plan)),
        "now": (rights.make_now, lambda: _make_now(request, plan)),
        "again": (rights.again, lambda: _again(request, plan, actor)),
        "comment": (True, lambda: _comment(request, plan, actor)),
    }
    may, step = steps.get(asked, (False, lambda: None))
    # Where it cannot be done the page comes again by itself, so that a comment which was typed is not lost.
    if not may and asked in steps and not plan.is_open:
        messages.error(request, str(Decided(plan)))
        return None
    if not may:
        raise PermissionDenied
    try:
        answer = step()
        if answer is not None and asked not in WITH_TEXT and request.POST.get(TEXT, "").strip():
            comment(plan, actor, request.POST[TEXT])
    except (Decided, OwnPlan, NotPossible) as error:
        messages.error(request, str(error))
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        return answer
    return None


def _approve(request: HttpRequest, plan: PlannedChange, actor: Account) -> HttpResponse | None:
    examined = examine_plan(plan)
    if not is_confirmed_here(request, [examined]):
        return None
    approve(plan, examined, approver=actor)
    if plan.due_at is not None and plan.next_attempt_at == plan.due_at:
        return _back(request, plan, messages.SUCCESS, _("Approved. It is made when it is due."))
    return _make_now(request, plan)


def _make_now(request: HttpRequest, plan: PlannedChange) -> HttpResponse:
    attempt_now(plan)
    if plan.state == State.APPLIED:
        return _back(request, plan, messages.SUCCESS, _("The change is made."))
    if plan.state == State.SCHEDULED:
        return _back(request, plan, messages.WARNING, _("It is made within a few minutes."))
    text = _("The change is not made. %s") % plan.problem
    return _back(request, plan, messages.ERROR, text)


def _refuse(request: HttpRequest, plan: PlannedChange, actor: Account) -> HttpResponse:
    refuse(plan, actor, why=request.POST.get(TEXT, ""))
    return _back(request, plan, messages.SUCCESS, _("The change is refused."))


def _withdraw(request: HttpRequest, plan: PlannedChange) -> HttpResponse:
    withdraw(plan)
    return _back(request, plan, messages.SUCCESS, _("The change is withdrawn."))


def _again(request: HttpRequest, plan: PlannedChange, actor: Account) -> HttpResponse:
    with transaction.atomic():
        new = propose_again(plan, examine_plan(plan), author=actor)
    return _back(
        request, new, messages.SUCCESS, _("It is proposed again, with the numbers of now.")
    )


def _comment(request: HttpRequest, plan: PlannedChange, actor: Account) -> HttpResponse:
    comment(plan, actor, request.POST.get(TEXT, ""))
    return _back(request, plan, messages.SUCCESS, _("The comment is saved."))


def _back(request: HttpRequest, plan: PlannedChange, level: int, text: str) -> HttpResponse:
    messages.add_message(request, level, text)
    return HttpResponseRedirect(proposal_address(plan))


def _list_address() -> str:
    return reverse("admin:featureflags_proposals")
