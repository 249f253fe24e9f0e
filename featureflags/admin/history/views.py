"""The history of a segment in words, an older version restored, and the deleted segments.

The addresses name the segment by key, so that they outlive it. The pages take the permission to
view segments; a restore takes the one to change the segment, or to add it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import ADDITION, CHANGE
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.shared.confirm import (
    Question,
    confirmation_page,
    is_confirmed_here,
    write_confirmed,
)
from featureflags.admin.shared.pages import (
    SEGMENT,
    Link,
    kinds_seen,
    log_change,
    may,
    require,
    respond,
    segment_trail,
    segments_link,
)
from featureflags.admin.shared.planning import Planned, plan_instead
from featureflags.editing import Examination, examine, moment_in_words
from featureflags.editing.history import (
    DescribedEntry,
    Restoration,
    describe,
    entries_of,
    restoration,
)
from featureflags.models import HistoryEntry, Segment

PAGE_SIZE: Final = 25


def segment_changes(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """The history of a segment, the newest entry first."""
    require(request, SEGMENT)
    found = entries_of(segment)
    stored = Segment.objects.filter(key=segment).first()
    paginator = Paginator(found, PAGE_SIZE)
    page = paginator.get_page(request.GET.get("p"))
    if stored is None and not paginator.count:
        raise Http404(_("There is no segment with this key."))
    return respond(
        request,
        site,
        "admin/featureflags/history/history.html",
        title=_("History of %s") % segment,
        trail=trail_of(stored),
        segment=segment,
        stored=stored,
        page=page,
        pages=paginator.get_elided_page_range(page.number),
        entries=describe(page.object_list, sees=kinds_seen(request)),
        newest=None if stored is None else found.values_list("pk", flat=True).first(),
        may_restore=may_restore_here(request, stored is not None),
    )


def trail_of(stored: Segment | None) -> list[Link]:
    if stored is not None:
        return segment_trail(stored)
    deleted = Link(text=_("Deleted segments"), href=reverse("admin:featureflags_deleted_segments"))
    return [segments_link(), deleted]


def may_restore_here(request: HttpRequest, exists: bool) -> bool:
    return may(request, SEGMENT, "change" if exists else "add")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedSegment:
    """A deleted segment."""

    entry: DescribedEntry
    name: str


def deleted_segments(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The deleted segments, each with a link to restore it; the last deleted first."""
    require(request, SEGMENT)
    paginator = Paginator(
        _last_deletions().select_related("actor", "approved_by", "restored"), PAGE_SIZE
    )
    page = paginator.get_page(request.GET.get("p"))
    described = describe(page.object_list, sees=kinds_seen(request))
    names = [entry.before["name"] for entry in page.object_list if entry.before]
    return respond(
        request,
        site,
        "admin/featureflags/history/deleted_segments.html",
        title=_("Deleted segments"),
        trail=[segments_link()],
        page=page,
        pages=paginator.get_elided_page_range(page.number),
        segments=[
            DeletedSegment(entry=entry, name=name)
            for entry, name in zip(described, names, strict=True)
        ],
        may_restore=may_restore_here(request, exists=False),
    )


def _last_deletions() -> QuerySet[HistoryEntry]:
    """The deletion of each segment that has not been created again."""
    there = Segment.objects.filter(key=OuterRef("segment_key"))
    later = HistoryEntry.objects.filter(segment_key=OuterRef("segment_key"), pk__gt=OuterRef("pk"))
    deletions = HistoryEntry.objects.filter(kind=HistoryEntry.Kind.DELETED)
    return deletions.filter(~Exists(there), ~Exists(later)).order_by("-pk")


def version_in_words(entry: HistoryEntry) -> str:
    values = {"version": entry.version, "when": moment_in_words(entry.at)}
    if entry.after is None:
        return _("deleted, %(when)s") % values
    return _("version %(version)d, %(when)s") % values


def history_link(key: str) -> Link:
    return Link(text=_("History"), href=history_address(key))


def history_address(key: str) -> str:
    return reverse("admin:featureflags_segment_changes", args=[key])


def restore_change(request: HttpRequest, change: int, *, site: AdminSite) -> HttpResponse:
    """Restore a history entry, given by its id. It first shows what that does; a POST that confirms
    it writes it."""
    require(request, SEGMENT)
    entry = get_object_or_404(HistoryEntry, pk=change)
    planned = restoration(entry)
    if not request.user.has_perms(planned.permissions):
        raise PermissionDenied
    address = history_address(entry.segment_key)
    if planned.change.is_nothing:
        messages.info(request, _("There is nothing to restore: the segment is the same now."))
        return HttpResponseRedirect(address)
    examined = examine(planned.change, with_flags=True)
    if request.method == "POST" and is_confirmed_here(request, [examined]):
        return _restore(request, planned, examined)
    stored = Segment.objects.filter(key=entry.segment_key).first()
    question = Question(
        examinations=[examined],
        title=_("Restore %(segment)s to %(version)s?")
        % {"segment": entry.segment_key, "version": _version_wanted(entry)},
        trail=[*trail_of(stored), history_link(entry.segment_key)],
        back=address,
        remarks=list(_remarks(planned)),
        verb=_("Restore"),
    )
    return confirmation_page(request, site, question)


def _version_wanted(entry: HistoryEntry) -> str:
    if entry.after is None:
        return _("what it was before it was deleted")
    return version_in_words(entry)


def _remarks(planned: Restoration) -> Iterator[str]:
    if planned.ended:
        text = ngettext(
            "%d membership has ended since, and is not restored.",
            "%d memberships have ended since, and are not restored.",
            planned.ended,
        )
        yield text % planned.ended
    if planned.change.before is None:
        yield _("The segment is created again, under its old key.")


def _restore(request: HttpRequest, planned: Restoration, examined: Examination) -> HttpResponse:
    key = planned.entry.segment_key
    try:
        (segment,) = write_confirmed(request, [examined])
    except Planned as later:
        return plan_instead(request, later)
    except ValidationError as error:
        for problem in error.messages:
            messages.error(request, _("It cannot be restored: %s") % problem)
        return HttpResponseRedirect(history_address(key))
    flag = ADDITION if planned.change.before is None else CHANGE
    log_change(request, segment.pk, f"Restored {_version_wanted(planned.entry)}.", flag)
    messages.success(request, _("The segment “%s” was restored.") % key)
    return HttpResponseRedirect(history_address(key))
