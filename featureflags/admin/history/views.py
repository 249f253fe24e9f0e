"""What happened to a segment: its changes in words, two versions side by side, one restored; and
the segments that are deleted.

Pages by the segment's key, so that they outlive it. They take the permission to view segments, and
to restore one that to change it, or to add it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.segments.confirm import (
    NOTE,
    Question,
    confirmation_page,
    is_confirmed_here,
    user_of,
)
from featureflags.admin.shared.pages import (
    SEGMENT,
    USER,
    Link,
    change_link,
    may_see,
    require,
    respond,
    segments_link,
)
from featureflags.editing.confirmation import Examination, examine
from featureflags.editing.history.entries import Entry, changes_of, entries
from featureflags.editing.history.restore import Restoration, restoration, restore
from featureflags.editing.moments import moment_in_words
from featureflags.models import Segment, SegmentChange

SOURCE: Final = "admin"
PAGE_SIZE: Final = 25

MEMBER_PERMISSIONS: Final = ("add", "change", "delete")


def segment_changes(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """The changes of a segment, the newest first."""
    require(request, SEGMENT)
    changes = changes_of(segment)
    stored = Segment.objects.filter(key=segment).first()
    paginator = Paginator(changes.select_related("actor", "restored"), PAGE_SIZE)
    page = paginator.get_page(request.GET.get("p"))
    if stored is None and not paginator.count:
        raise Http404(_("There is no segment with this key."))
    return respond(
        request,
        site,
        "admin/featureflags/history/history.html",
        title=_("History of %s") % segment,
        trail=trail_of(segment, stored),
        segment=segment,
        stored=stored,
        page=page,
        pages=paginator.get_elided_page_range(page.number),
        entries=entries(page.object_list, with_addresses=may_see(request, USER)),
        newest=None if stored is None else changes.values_list("pk", flat=True).first(),
        may_restore=may_restore_here(request, stored is not None),
    )


def trail_of(key: str, stored: Segment | None) -> list[Link]:
    if stored is not None:
        return [segments_link(), change_link(stored.pk, key)]
    deleted = Link(text=_("Deleted segments"), href=reverse("admin:featureflags_deleted_segments"))
    return [segments_link(), deleted]


def may_restore_here(request: HttpRequest, exists: bool) -> bool:
    verb = "change" if exists else "add"
    return request.user.has_perm(f"featureflags.{verb}_segment")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedSegment:
    """A segment that is there no more."""

    entry: Entry
    name: str


def deleted_segments(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The segments that are deleted, each with a way back; the last deleted first."""
    require(request, SEGMENT)
    paginator = Paginator(_last_deletions().select_related("actor", "restored"), PAGE_SIZE)
    page = paginator.get_page(request.GET.get("p"))
    told = entries(page.object_list, with_addresses=may_see(request, USER))
    names = [change.before["name"] for change in page.object_list if change.before]
    return respond(
        request,
        site,
        "admin/featureflags/history/deleted_segments.html",
        title=_("Deleted segments"),
        trail=[segments_link()],
        page=page,
        pages=paginator.get_elided_page_range(page.number),
        segments=[
            DeletedSegment(entry=entry, name=name) for entry, name in zip(told, names, strict=True)
        ],
        may_restore=may_restore_here(request, exists=False),
    )


def _last_deletions() -> QuerySet[SegmentChange]:
    """The deletion of each segment that has not been created again."""
    there = Segment.objects.filter(key=OuterRef("segment_key"))
    later = SegmentChange.objects.filter(segment_key=OuterRef("segment_key"), pk__gt=OuterRef("pk"))
    deletions = SegmentChange.objects.filter(kind=SegmentChange.Kind.DELETED)
    return deletions.filter(~Exists(there), ~Exists(later)).order_by("-pk")


def version_in_words(change: SegmentChange) -> str:
    told = {"version": change.version, "when": moment_in_words(change.at)}
    if change.after is None:
        return _("deleted, %(when)s") % told
    return _("version %(version)d, %(when)s") % told


def history_link(key: str) -> Link:
    return Link(text=_("History"), href=history_address(key))


def history_address(key: str) -> str:
    return reverse("admin:featureflags_segment_changes", args=[key])


def restore_change(request: HttpRequest, change: int, *, site: AdminSite) -> HttpResponse:
    """Make a segment again what it was after a change, or before it was deleted. Shows first what
    that does; a POST with just that, confirmed, writes it."""
    require(request, SEGMENT)
    found = get_object_or_404(SegmentChange, pk=change)
    planned = restoration(found)
    _require_to_write(request, planned)
    if planned.delta.is_nothing:
        messages.info(request, _("The segment is just so already: there is nothing to restore."))
        return HttpResponseRedirect(history_address(found.segment_key))
    examination = examine(planned.segment_pk, planned.delta)
    if request.method == "POST" and is_confirmed_here(request, [examination]):
        return _restored(request, planned, examination)
    stored = Segment.objects.filter(pk=planned.segment_pk).first() if planned.segment_pk else None
    question = Question(
        examinations=[examination],
        title=_("Restore %(segment)s to %(version)s?")
        % {"segment": found.segment_key, "version": _version_wanted(found)},
        trail=[*trail_of(found.segment_key, stored), history_link(found.segment_key)],
        back=history_address(found.segment_key),
        remarks=list(_remarks(planned)),
        verb=_("Restore"),
    )
    return confirmation_page(request, site, question)


def _version_wanted(change: SegmentChange) -> str:
    if change.after is None:
        return _("what it was before it was deleted")
    return version_in_words(change)


def _remarks(planned: Restoration) -> Iterator[str]:
    if planned.ended:
        yield (
            ngettext(
                "%d membership has ended since, and is not restored.",
                "%d memberships have ended since, and are not restored.",
                planned.ended,
            )
            % planned.ended
        )
    if planned.segment_pk is None:
        yield _("The segment is created again, under its old key.")


def _require_to_write(request: HttpRequest, planned: Restoration) -> None:
    """Raises PermissionDenied."""
    if not may_restore_here(request, planned.segment_pk is not None):
        raise PermissionDenied
    verbs = MEMBER_PERMISSIONS if planned.delta.members else ()
    if not request.user.has_perms([f"featureflags.{verb}_segmentmember" for verb in verbs]):
        raise PermissionDenied


def _restored(request: HttpRequest, planned: Restoration, examination: Examination) -> HttpResponse:
    key = planned.change.segment_key
    try:
        segment = restore(
            planned, note=request.POST.get(NOTE, ""), source=SOURCE, moved=examination.moved
        )
    except ValidationError as error:
        for problem in error.messages:
            messages.error(request, _("It cannot be restored: %s") % problem)
        return HttpResponseRedirect(history_address(key))
    LogEntry.objects.log_actions(
        user_of(request).pk,
        Segment.objects.filter(pk=segment.pk),
        ADDITION if planned.segment_pk is None else CHANGE,
        change_message=f"Restored {_version_wanted(planned.change)}.",
        single_object=True,
    )
    messages.success(request, _("The segment “%s” was restored.") % key)
    return HttpResponseRedirect(history_address(key))
