"""All users in a segment, by rules or by name: a list, filters, and an export as CSV. Read only."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from featureflags.admin.segments.columns import counted_in_words, number_in_words, size_of
from featureflags.admin.shared.pages import (
    SEGMENT,
    log_change,
    model_of,
    require,
    respond,
    row_page,
    segment_trail,
    why_segment_page,
)
from featureflags.admin.streaming import csv_response
from featureflags.audience import AudienceFilter, How, Member, SegmentAudience
from featureflags.cache.compiled_rules import LoadedRuleset, known_ruleset
from featureflags.core.times import now_in_microseconds, to_datetime
from featureflags.editing import moment_in_words
from featureflags.evaluation.reasons import degradation_in_words
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_or_user
from featureflags.models import Segment
from featureflags.segments.definitions import SegmentDefinition

PAGE_SIZE: Final = 50
SECONDS: Final = 5.0
"""The most that a page takes; past that it says that there may be others."""


class FilterForm(forms.Form):
    """The filters of the list. Invalid values are ignored."""

    q = forms.CharField(
        required=False,
        label=gettext_lazy("Search"),
        help_text=gettext_lazy("Beginning of an e-mail address, part of a name, or a whole key."),
        widget=forms.TextInput(attrs={"type": "search", "size": 20}),
    )
    how = forms.ChoiceField(
        required=False,
        label=gettext_lazy("In by"),
        choices=[
            (How.ANY.value, gettext_lazy("rules or name")),
            (How.BY_RULES.value, gettext_lazy("rules")),
            (How.BY_NAME.value, gettext_lazy("name")),
        ],
    )
    entered = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Entered"),
        choices=[
            ("", gettext_lazy("any time")),
            ("1", gettext_lazy("in the last 24 hours")),
            ("7", gettext_lazy("in the last 7 days")),
            ("30", gettext_lazy("in the last 30 days")),
        ],
    )

    def wanted(self) -> AudienceFilter:
        self.is_valid()
        found = self.cleaned_data
        return AudienceFilter(
            search=found.get("q", ""),
            how=How(found.get("how") or ""),
            entered_days=int(found.get("entered") or 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member, in words."""

    title: str
    name: str
    how: str
    created: Any
    last_seen: Any
    page: str
    why: str


def segment_members(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """One page of the list. `after` and `before` are user keys, so that a server logs no address."""
    require(request, SEGMENT)
    stored, loaded = _segment(segment)
    kind = kind_or_user(stored.kind)
    require(request, model_of(kind))
    form = FilterForm(request.GET)
    wanted = form.wanted()
    after, before = request.GET.get("after"), request.GET.get("before")
    found = _audience(loaded, stored, wanted).page(
        PAGE_SIZE, after=after, before=before, seconds=SECONDS
    )
    definition = loaded.ruleset.definitions[segment]
    keys = [member.user.key for member in found.members]
    size = size_of(stored)
    return respond(
        request,
        site,
        "admin/featureflags/segments/audience.html",
        title=_("Who is in %s") % segment,
        trail=segment_trail(stored),
        segment=stored,
        kind=kind,
        form=form,
        rows=[_row(member, definition, stored) for member in found.members],
        size_counted=0 if size is None else size.at_least,
        size="" if size is None else number_in_words(size),
        counted="" if size is None else counted_in_words(size),
        is_filtered=wanted != AudienceFilter(),
        is_cut=found.is_cut,
        seconds=SECONDS,
        previous=_page_link(request, "before", keys[:1]) if found.has_previous else "",
        next=_page_link(request, "after", keys[-1:]) if found.has_next else "",
        export=reverse("admin:featureflags_segment_export", args=[segment]),
        degraded=[] if loaded.degraded is None else [degradation_in_words(loaded.degraded)],
    )


@require_POST
def export_segment_members(
    request: HttpRequest, segment: str, *, site: AdminSite
) -> HttpResponseBase:
    """All members that pass the filters, as CSV, sent while they are read."""
    del site
    require(request, SEGMENT)
    stored, loaded = _segment(segment)
    kind = kind_or_user(stored.kind)
    require(request, model_of(kind))
    wanted = FilterForm(request.POST).wanted()
    definition = loaded.ruleset.definitions[segment]
    members = _audience(loaded, stored, wanted).everyone()
    log_change(request, stored.pk, "Exported who is in it.")
    return csv_response(
        request,
        f"{segment}-{timezone.localdate().isoformat()}.csv",
        (*kind.columns, "in_by"),
        (_cells(member, definition, kind) for member in members),
    )


def _segment(key: str) -> tuple[Segment, LoadedRuleset]:
    """The segment with its size, and the rules in force; raises Http404."""
    stored = get_object_or_404(Segment.objects.select_related("size"), key=key)
    loaded = known_ruleset()
    if key not in loaded.ruleset.definitions:
        raise Http404(_("There is no segment with this key."))
    return stored, loaded


def _audience(loaded: LoadedRuleset, segment: Segment, wanted: AudienceFilter) -> SegmentAudience:
    size = size_of(segment)
    return SegmentAudience(
        loaded.ruleset,
        segment.key,
        now=now_in_microseconds(),
        wanted=wanted,
        expected=None if size is None or size.is_outdated else size.at_most,
    )


def _row(member: Member, definition: SegmentDefinition, segment: Segment) -> MemberRow:
    user, kind = member.user, kind_or_user(segment.kind)
    return MemberRow(
        title=kind.title_of(user),
        name=kind.label_of(user),
        how=_how(member, definition),
        created=_moment(user, kind.created),
        last_seen=_moment(user, kind.last_seen),
        page=row_page(kind, user.key),
        why=why_segment_page(segment.key, user.key),
    )


def _moment(user: Any, name: str | None) -> datetime.datetime | None:
    """An instant of the snapshot, if the kind has it."""
    found = None if name is None else getattr(user, name, None)
    return None if found is None else to_datetime(found)


def _how(member: Member, definition: SegmentDefinition) -> str:
    if member.rule is None:
        until = definition.included.get(member.user.key)
        return _("By name") if until is None else _("By name until %s") % moment_in_words(until)
    described = definition.rules[member.rule - 1].description
    text = _("Rule %d") % member.rule
    return f"{text}: {described}" if described else text


def _cells(member: Member, definition: SegmentDefinition, kind: CompiledKind) -> Iterator[str]:
    yield from kind.cells(member.user)
    yield _how(member, definition)


def _page_link(request: HttpRequest, name: str, keys: list[str]) -> str:
    """The same filters, with the page before or after this user; empty without a user."""
    kept = {each: request.GET[each] for each in ("q", "how", "entered") if request.GET.get(each)}
    return "?" + urlencode({**kept, name: keys[0]}) if keys else ""
