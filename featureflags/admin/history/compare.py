"""Two versions of a segment side by side, and what differs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.history.views import (
    history_link,
    may_restore_here,
    trail_of,
    version_in_words,
)
from featureflags.admin.shared.pages import SEGMENT, kinds_seen, require, respond
from featureflags.core.input_gate import whole_number
from featureflags.editing import (
    Change,
    change_in_words,
    member_changes,
    owner_in_words,
    rules_in_words,
)
from featureflags.editing.history import entries_of, members_after, state_after
from featureflags.models import HistoryEntry, Segment
from featureflags.models.changesets import SegmentState

MOST_CHOICES: Final = 100
"""Versions to choose from. The history has a link to each older one."""

NOW: Final = "now"


class CompareForm(forms.Form):
    """The two versions to compare."""

    old = forms.ChoiceField(label=gettext_lazy("Compare"))
    new = forms.ChoiceField(label=gettext_lazy("with"))

    def __init__(self, *args: Any, entries: Sequence[HistoryEntry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [(str(entry.pk), version_in_words(entry)) for entry in entries]
        for name in ("old", "new"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
            field.choices = listed if name == "old" else [(NOW, _("the current version")), *listed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field of two versions, side by side."""

    label: str
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return self.old != self.new


def compare_changes(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """Two versions side by side, by the ids of their history entries: `old`, by default the one
    before the last, and `new`, by default the current one."""
    require(request, SEGMENT)
    stored = Segment.objects.filter(key=segment).first()
    entries = entries_of(segment)
    old = _chosen(entries, request.GET.get("old", _last_but_one(entries)))
    new = None if request.GET.get("new", NOW) == NOW else _chosen(entries, request.GET.get("new"))
    listed = list(entries[:MOST_CHOICES])
    listed += [each for each in (old, new) if each is not None and each not in listed]
    chosen = {"old": str(old.pk), "new": NOW if new is None else str(new.pk)}
    change = Change(
        before=state_after(old),
        after=_state_of(new, stored),
        members=member_changes(members_after(old), _members_of(new, entries)),
    )
    known = change.before is not None or change.after is not None
    return respond(
        request,
        site,
        "admin/featureflags/history/compare.html",
        title=_("Compare versions of %s") % segment,
        trail=[*trail_of(stored), history_link(segment)],
        segment=segment,
        form=CompareForm(initial=chosen, entries=listed),
        lines=_lines(request, change) if known else [],
        rows=_side_by_side(change.before, change.after),
        old=old,
        old_label=version_in_words(old),
        new_label=_("the current version") if new is None else version_in_words(new),
        may_restore=may_restore_here(request, stored is not None),
    )


def _last_but_one(entries: QuerySet[HistoryEntry]) -> str:
    newest = list(entries.values_list("pk", flat=True)[:2])
    return str(newest[-1]) if newest else ""


def _chosen(entries: QuerySet[HistoryEntry], text: str | None) -> HistoryEntry:
    """Raises Http404."""
    pk = whole_number(text)
    if pk is None:
        raise Http404
    return get_object_or_404(entries, pk=pk)


def _state_of(entry: HistoryEntry | None, stored: Segment | None) -> SegmentState | None:
    if entry is not None:
        return state_after(entry)
    return None if stored is None else stored.stored_state()


def _members_of(entry: HistoryEntry | None, entries: QuerySet[HistoryEntry]) -> dict[str, Any]:
    last = entry or entries.first()
    return {} if last is None else members_after(last)


def _side_by_side(old: SegmentState | None, new: SegmentState | None) -> list[Row]:
    labels = (_("Name"), _("Description"), _("Active"), _("Tags"), _("Owner"), _("Rules"))
    return [
        Row(label=label, old=tuple(before), new=tuple(after))
        for label, before, after in zip(labels, _cells(old), _cells(new), strict=True)
    ]


def _cells(state: SegmentState | None) -> Iterator[list[str]]:
    if state is None:
        yield from ([_("(no segment)")], [], [], [], [], [])
        return
    yield [state.name]
    yield [state.description] if state.description else []
    yield [_("Yes") if state.is_active else _("No")]
    yield list(state.tags)
    yield [owner_in_words(state.owner)] if state.owner else []
    yield rules_in_words(state) or [_("No rules")]


def _lines(request: HttpRequest, change: Change) -> list[str]:
    sees = change.state.kind in kinds_seen(request)
    return change_in_words(change, with_addresses=sees)
