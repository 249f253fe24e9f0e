"""The numbers of members by name, below the form on the segment's own page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.admin.members.forms import KeyForm, MemberForm, form_for
from featureflags.admin.shared.pages import MEMBER, Link, may, may_see, model_of
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import kind_or_user
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState

PREFIX: Final = "by_name"
"""Begins the names of the member's fields in the segment's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCounts:
    """How many users are included and excluded by name."""

    included: int
    excluded: int
    ended: int
    """Memberships of either kind that have ended, and decide nothing any more."""
    ahead: int
    """Memberships of either kind that have not begun."""


def member_counts(segment: Segment) -> MemberCounts:
    """One query."""
    now = timezone.now()
    ended, ahead = Q(expires_at__lte=now), Q(starts_at__gt=now)
    in_force, kinds = ~ended & ~ahead, SegmentMember.Kind
    with fresh_rows():
        counts = SegmentMember.objects.filter(segment=segment.pk).aggregate(
            included=Count("pk", filter=Q(kind=kinds.INCLUDE) & in_force),
            excluded=Count("pk", filter=Q(kind=kinds.EXCLUDE) & in_force),
            ended=Count("pk", filter=ended),
            ahead=Count("pk", filter=ahead),
        )
    return MemberCounts(**counts)


def list_address(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_by_name", args=[segment.key])


def list_link(segment: Segment) -> Link:
    """To the list of users who are included and excluded."""
    return Link(text=_("Members by name"), href=list_address(segment))


def member_form(request: HttpRequest, segment: Segment | None) -> MemberForm | KeyForm | None:
    """The fields that add a member on the segment's own page, saved with its form.

    Bound if somebody has chosen a user, or typed a reason or an end. None for a new segment, and for
    users who may not add members.
    """
    if segment is None or not may(request, MEMBER, "add"):
        return None
    if not may_see(request, MEMBER, model_of(kind_or_user(segment.kind))):
        return None
    empty = form_for(segment, prefix=PREFIX, use_required_attribute=False)
    if request.method != "POST":
        return empty
    sent = form_for(segment, request.POST, prefix=PREFIX, use_required_attribute=False)
    return sent if _is_typed(sent) else empty


def _is_typed(form: MemberForm | KeyForm) -> bool:
    return any(name != "kind" for name in form.changed_data)


def member_in(form: MemberForm | KeyForm | None) -> dict[str, MemberState]:
    """The membership that a form holds, by key; none where nobody is chosen, or something is wrong."""
    if form is None or not form.is_bound or not _is_typed(form) or not form.is_valid():
        return {}
    return {form.row_key(): form.state()}


def member_kept(segment: Segment | None, typed: Mapping[str, str]) -> dict[str, MemberState]:
    """The same of fields that were kept with a draft."""
    return {} if segment is None else member_in(form_for(segment, typed, prefix=PREFIX))


def add_member_panel(
    request: HttpRequest, context: dict[str, Any], segment: Segment | None
) -> None:
    """Add the numbers, and the fields to add a member, to the context of the segment's own page."""
    if segment is None or not may_see(request, MEMBER):
        return
    context["by_name"] = member_counts(segment)
    form = getattr(context["adminform"].form, "member_form", None)
    if form is not None:
        context["member_form"] = form
        context["media"] = context["media"] + form.media
