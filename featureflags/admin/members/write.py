"""Writes memberships from the admin's own pages, as one change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.members.panel import list_address, list_link
from featureflags.admin.shared.confirm import (
    NeedsConfirmation,
    Question,
    confirmation_page,
    write,
)
from featureflags.admin.shared.pages import MEMBER, log_change, require_to, segment_trail
from featureflags.admin.shared.planning import Planned, plan_instead
from featureflags.editing import MemberChange, membership_change
from featureflags.models import Segment
from featureflags.models.changesets import MemberState

Wanted: TypeAlias = Mapping[str, MemberState | None]
"""The membership that each user is to have, by user key; None: there is to be none."""


def write_members(
    request: HttpRequest,
    site: AdminSite,
    segment: Segment,
    wanted: Wanted,
    *,
    refuse: Callable[[str], HttpResponse],
    remarks: Sequence[str] = (),
) -> HttpResponse:
    """Write these memberships and go to the list, or ask first.

    `refuse` makes the page that shows why they cannot be written. `remarks` are shown before and
    after. Raises PermissionDenied.
    """
    try:
        change = membership_change(segment, wanted)
    except ValidationError as error:
        return refuse(error.messages[0])
    verbs = [_verb(one) for one in change.members.values()]
    require_to(request, MEMBER, *sorted(set(verbs)))
    if not verbs:
        messages.info(request, _("Nothing has changed: all of it was stored already."))
        return HttpResponseRedirect(list_address(segment))
    try:
        write(request, change)
    except NeedsConfirmation as asked:
        trail = [*segment_trail(segment), list_link(segment)]
        question = Question(examinations=asked.examinations, trail=trail, remarks=remarks)
        return confirmation_page(request, site, question)
    except Planned as planned:
        return plan_instead(request, planned)
    added, removed = verbs.count("add"), verbs.count("delete")
    log_change(request, segment.pk, f"Members by name: {added} added, {removed} removed.")
    text = ngettext("%s membership was changed.", "%s memberships were changed.", len(verbs))
    messages.success(request, text % f"{len(verbs):,}")
    for remark in remarks:
        messages.warning(request, remark)
    return HttpResponseRedirect(list_address(segment))


def _verb(one: MemberChange) -> str:
    """The permission that a change takes."""
    return "add" if one.before is None else "delete" if one.after is None else "change"
