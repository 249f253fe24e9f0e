"""Writes memberships by name from the admin's pages: one change, asked about first if it has to be."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.segments.confirm import (
    NOTE,
    NeedsConfirmation,
    Question,
    confirmation_page,
    require_confirmation,
)
from featureflags.admin.segments.named_members_panel import list_address, list_link, log_by_name
from featureflags.admin.shared.pages import change_link, segments_link
from featureflags.core.conf import app_settings
from featureflags.editing.changes import MemberDelta
from featureflags.editing.confirmation import examine
from featureflags.editing.member_lists import change_members, membership_of, stored_members
from featureflags.models import Segment
from featureflags.models.changesets import MemberState, segment_change

SOURCE: Final = "admin"

Wanted: TypeAlias = Mapping[str, MemberState | None]
"""What a membership is to be, by user key; None: there is to be none."""


def change_by_name(
    request: HttpRequest,
    site: AdminSite,
    segment: Segment,
    wanted: Wanted,
    *,
    refuse: Callable[[str], HttpResponse],
    remarks: Sequence[str] = (),
) -> HttpResponse:
    """Write these memberships, or ask first, and go to the list.

    `refuse` makes the page that says why it cannot be; `remarks` are told before and after. Raises
    PermissionDenied.
    """
    stored = stored_members(segment.pk)
    deltas = {
        uuid.UUID(user): MemberDelta(before=stored.get(user), after=state)
        for user, state in wanted.items()
        if stored.get(user) != state
    }
    _require_to_write(request, deltas)
    if not deltas:
        messages.info(request, _("Nothing has changed: it was just so already."))
        return HttpResponseRedirect(list_address(segment))
    added = sum(one.before is None for one in deltas.values())
    removed = sum(one.after is None for one in deltas.values())
    count, limit = len(stored) + added - removed, app_settings().max_members
    if added and count > limit:
        text = _("The segment would have %(count)s members by name; %(limit)s are allowed.")
        return refuse(text % {"count": f"{count:,}", "limit": f"{limit:,}"})
    examination = examine(segment.pk, membership_of(segment, deltas))
    try:
        require_confirmation(request, [examination])
    except NeedsConfirmation as asked:
        trail = [segments_link(), change_link(segment.pk, segment.key), list_link(segment)]
        question = Question(examinations=asked.examinations, trail=trail, remarks=remarks)
        return confirmation_page(request, site, question)
    moved = {segment.key: examination.moved}
    with segment_change(note=request.POST.get(NOTE, ""), source=SOURCE, moved=moved):
        change_members(segment, wanted)
    log_by_name(request, segment, f"Members by name: {added} added, {removed} removed.")
    text = ngettext("%s membership was changed.", "%s memberships were changed.", len(deltas))
    messages.success(request, text % f"{len(deltas):,}")
    for remark in remarks:
        messages.warning(request, remark)
    return HttpResponseRedirect(list_address(segment))


def _require_to_write(request: HttpRequest, deltas: Mapping[uuid.UUID, MemberDelta]) -> None:
    """Raises PermissionDenied."""
    verbs = {
        "add" if one.before is None else "delete" if one.after is None else "change"
        for one in deltas.values()
    }
    if not request.user.has_perms([f"featureflags.{verb}_segmentmember" for verb in verbs]):
        raise PermissionDenied
