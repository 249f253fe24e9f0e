"""The users who are included in a segment or excluded from it by name: the list, a form to add
one, a button to remove some, and the list as CSV."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from featureflags.admin.members.forms import KeyForm, MemberForm, form_for, is_key
from featureflags.admin.members.panel import member_counts
from featureflags.admin.members.write import write_members
from featureflags.admin.shared.confirm import BACK
from featureflags.admin.shared.kept_choice import keep, take
from featureflags.admin.shared.pages import (
    MEMBER,
    SEGMENT,
    log_change,
    may,
    model_of,
    require,
    respond,
    row_page,
    segment_or_404,
    segment_trail,
)
from featureflags.admin.streaming import csv_response
from featureflags.core.times import to_microseconds, to_rfc3339
from featureflags.core.uncached import fresh_rows
from featureflags.editing import moment_in_words
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, kind_or_user
from featureflags.models import Segment, SegmentMember

PAGE_SIZE: Final = 50
EXPORTED_AT_ONCE: Final = 500
MOST_FOUND: Final = 1_000
"""Rows of another kind that a search looks for among the members."""
REMOVE: Final = "_remove"
COLUMNS: Final = ("kind", "reason", "starts_at", "expires_at")
"""After the key of a user, their title and their name."""


class FilterForm(forms.Form):
    """The filters of the list. Invalid values are ignored."""

    q = forms.CharField(
        required=False,
        label=gettext_lazy("Search"),
        widget=forms.TextInput(attrs={"type": "search", "size": 20}),
    )
    kind = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Show"),
        choices=[
            ("", gettext_lazy("included and excluded")),
            (SegmentMember.Kind.INCLUDE, gettext_lazy("included")),
            (SegmentMember.Kind.EXCLUDE, gettext_lazy("excluded")),
        ],
    )


def segment_by_name(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """The list. A POST adds one user, or removes the selected ones."""
    require(request, SEGMENT, MEMBER)
    stored = segment_or_404(segment)
    require(request, model_of(kind_or_user(stored.kind)))
    if request.method != "POST":
        return _list(request, site, stored, form_for(stored))
    if REMOVE in request.POST:
        return _remove(request, site, stored)
    form = form_for(stored, request.POST)
    if not form.is_valid() or BACK in request.POST:
        return _list(request, site, stored, form)

    def refuse(why: str) -> HttpResponse:
        form.add_error(None, why)
        return _list(request, site, stored, form)

    wanted = {form.row_key(): form.state()}
    return write_members(request, site, stored, wanted, refuse=refuse)


def _remove(request: HttpRequest, site: AdminSite, segment: Segment) -> HttpResponse:
    kind = kind_or_user(segment.kind)
    chosen = [key for key in request.POST.getlist("user") if is_key(key, kind)]
    if not chosen or BACK in request.POST:
        keep(request, chosen)
        return HttpResponseRedirect(request.get_full_path())

    def refuse(why: str) -> HttpResponse:
        messages.error(request, why)
        keep(request, chosen)
        return HttpResponseRedirect(request.get_full_path())

    return write_members(request, site, segment, dict.fromkeys(chosen), refuse=refuse)


def _list(
    request: HttpRequest, site: AdminSite, segment: Segment, form: MemberForm | KeyForm
) -> HttpResponse:
    # The form above it has a field of the same name.
    filters = FilterForm(request.GET, auto_id="filter_%s")
    paginator = Paginator(_filtered(segment, filters).select_related("user"), PAGE_SIZE)
    now = timezone.now()
    with fresh_rows():
        page = paginator.get_page(request.GET.get("p"))
        kind = kind_or_user(segment.kind)
        named = _rows_of(kind, list(page.object_list))
        rows = [_row(member, named, segment, now) for member in page.object_list]
    return respond(
        request,
        site,
        "admin/featureflags/segments/named_members.html",
        title=_("Included and excluded by name: %s") % segment.key,
        trail=segment_trail(segment),
        segment=segment,
        kind=kind,
        counts=member_counts(segment),
        filters=filters,
        is_filtered=filters.has_changed(),
        rows=rows,
        chosen=take(request).rows,
        page=page,
        pages=paginator.get_elided_page_range(page.number),
        form=form,
        media=form.media,
        may_add=may(request, MEMBER, "add"),
        may_change=may(request, MEMBER, "change"),
        may_remove=may(request, MEMBER, "delete"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One member, in words."""

    key: str
    title: str
    name: str
    is_included: bool
    reason: str
    since: str
    """Empty: since it was made."""
    until: str
    is_ahead: bool
    is_over: bool
    page: str
    change: str


def _rows_of(kind: CompiledKind, members: Iterable[SegmentMember]) -> dict[str, Any]:
    """The rows of these members, by key: none more than was read for users, else one query."""
    if kind.name == USER:
        return {str(member.row_key): member.user for member in members}
    keys = [kind.parse_key(member.key) for member in members]
    return {kind.key_of(row): row for row in kind.rows().filter(**{f"{kind.key}__in": keys})}


def _row(
    member: SegmentMember, rows: Mapping[str, Any], segment: Segment, now: datetime.datetime
) -> Row:
    starts, ends, kind = member.starts_at, member.expires_at, kind_or_user(segment.kind)
    key = str(member.row_key)
    row = rows.get(key)
    return Row(
        key=key,
        # The hourly task forgets a deleted row.
        title=_("%s (deleted)") % key if row is None else kind.title_of_row(row),
        name="" if row is None else kind.label_of_row(row),
        is_included=member.kind == SegmentMember.Kind.INCLUDE,
        reason=member.reason,
        since="" if starts is None else moment_in_words(starts),
        until="" if ends is None else moment_in_words(ends),
        is_ahead=starts is not None and starts > now,
        is_over=ends is not None and ends <= now,
        page=row_page(kind, key),
        change=reverse("admin:featureflags_segmentmember_change", args=[member.pk]),
    )


def _filtered(segment: Segment, filters: FilterForm) -> QuerySet[SegmentMember]:
    filters.is_valid()
    kind = kind_or_user(segment.kind)
    wanted = filters.cleaned_data
    members = SegmentMember.objects.filter(segment=segment)
    members = members.order_by(f"user__{kind.title}" if kind.name == USER else "key")
    if wanted.get("kind"):
        members = members.filter(kind=wanted["kind"])
    text = (wanted.get("q") or "").strip()
    if text and kind.name != USER:
        rows = kind.rows().filter(kind.searched(text))
        keys = rows.values_list(kind.key_text, flat=True)[:MOST_FOUND]
        members = members.filter(Q(reason__icontains=text) | Q(key__in=[*keys, text]))
    elif is_key(text) and not kind.has_text_keys:
        members = members.filter(user=kind.parse_key(kind.canonical(text)))
    elif text:
        found = Q(reason__icontains=text)
        for name in (kind.title, *kind.search):
            found |= Q(**{f"user__{name}__icontains": text})
        members = members.filter(found)
    return members


@require_POST
def export_by_name(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponseBase:
    """The list as CSV, sent while it is read. It can be imported again."""
    del site
    require(request, SEGMENT, MEMBER)
    stored = segment_or_404(segment)
    kind = kind_or_user(stored.kind)
    require(request, model_of(kind))
    members = _filtered(stored, FilterForm(request.POST)).select_related("user")
    log_change(request, stored.pk, "Exported who is included and excluded by name.")
    name = f"{segment}-by-name-{timezone.localdate().isoformat()}.csv"
    rows = _all_cells(kind, members.iterator(chunk_size=EXPORTED_AT_ONCE))
    return csv_response(request, name, (*kind.heading, *COLUMNS), rows)


def _all_cells(kind: CompiledKind, members: Iterator[SegmentMember]) -> Iterator[Iterable[str]]:
    while some := list(islice(members, EXPORTED_AT_ONCE)):
        rows = _rows_of(kind, some)
        for member in some:
            yield cells_of(member, kind, rows.get(str(member.row_key)))


def cells_of(member: SegmentMember, kind: CompiledKind, row: Any) -> Iterator[str]:
    """A row of the export. `row`: the member's own; None: it is deleted."""
    yield from (str(member.row_key), "" if row is None else kind.title_of_row(row))
    if kind.label:
        yield "" if row is None else kind.label_of_row(row)
    yield from (member.kind, member.reason)
    for at in (member.starts_at, member.expires_at):
        yield "" if at is None else to_rfc3339(to_microseconds(at))
