"""Who is in a segment and out of it by name, as numbers, on the segment's own page; and what the
pages about them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.admin.members.forms import MemberForm
from featureflags.admin.segments.confirm import user_of
from featureflags.admin.shared.pages import USER, Link, may_see
from featureflags.core.uncached import fresh_rows
from featureflags.models import Segment, SegmentMember

MEMBER: Final = "featureflags.segmentmember"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByName:
    """How many are in a segment and out of it by name."""

    included: int
    excluded: int
    ended: int
    """Memberships of either kind that are over, and decide nothing any more."""


def by_name(segment: Segment) -> ByName:
    """One query."""
    ended = Q(expires_at__lte=timezone.now())
    kinds = SegmentMember.Kind
    with fresh_rows():
        counts = SegmentMember.objects.filter(segment=segment.pk).aggregate(
            included=Count("pk", filter=Q(kind=kinds.INCLUDE) & ~ended),
            excluded=Count("pk", filter=Q(kind=kinds.EXCLUDE) & ~ended),
            ended=Count("pk", filter=ended),
        )
    return ByName(**counts)


def segment_or_404(key: str) -> Segment:
    """As it is in the database now. Raises Http404."""
    with fresh_rows():
        return get_object_or_404(Segment, key=key)


def list_address(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_by_name", args=[segment.key])


def list_link(segment: Segment) -> Link:
    """To the list of those who are included and excluded."""
    return Link(text=_("Members by name"), href=list_address(segment))


def log_by_name(request: HttpRequest, segment: Segment, text: str) -> None:
    """Into the admin's log, without saying who the members are."""
    LogEntry.objects.log_actions(
        user_of(request).pk,
        Segment.objects.filter(pk=segment.pk),
        CHANGE,
        change_message=text,
        single_object=True,
    )


if TYPE_CHECKING:
    BaseModelAdmin = admin.ModelAdmin[Segment]
else:
    BaseModelAdmin = object


class ByNameAdmin(BaseModelAdmin):
    """Puts who is included and excluded on the segment's own page, below the form."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's, with a form of its own to add somebody."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if object_id is None or not isinstance(response, TemplateResponse):
            return response
        context: dict[str, Any] = response.context_data or {}
        segment = context.get("original")
        if not isinstance(segment, Segment) or not may_see(request, MEMBER):
            return response
        form = None
        if may_see(request, USER) and request.user.has_perm("featureflags.add_segmentmember"):
            form = MemberForm(auto_id="id_member_%s")
            context["media"] = context["media"] + form.media
        context["by_name"] = by_name(segment)
        context["member_form"] = form
        return response
