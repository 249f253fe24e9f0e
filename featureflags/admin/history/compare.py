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
from featureflags.admin.shared.pages import SEGMENT, USER, may_see, require, respond
from featureflags.editing.changes import SegmentDelta
from featureflags.editing.differences import rules_in_words
from featureflags.editing.documents import document_of
from featureflags.editing.history.entries import changes_of, delta_lines, members_at, state_after
from featureflags.editing.member_lists import member_deltas
from featureflags.models import Segment, SegmentChange
from featureflags.models.changesets import SegmentState

MOST_CHOICES: Final = 100
"""Versions that can be chosen; older ones by the link beside them in the history."""

NOW: Final = "now"


class CompareForm(forms.Form):
    """Which two versions to compare."""

    old = forms.ChoiceField(label=gettext_lazy("Compare"))
    new = forms.ChoiceField(label=gettext_lazy("with"))

    def __init__(self, *args: Any, changes: Sequence[SegmentChange], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [(str(change.pk), version_in_words(change)) for change in changes]
        for name in ("old", "new"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
            field.choices = listed if name == "old" else [(NOW, _("what is there now")), *listed]


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
    """Two versions side by side, by the ids of their changes: `old`, by default the one before the
    last, and `new`, or what is there now."""
    require(request, SEGMENT)
    stored = Segment.objects.filter(key=segment).first()
    changes = changes_of(segment)
    old = _chosen(changes, request.GET.get("old", _last_but_one(changes)))
    new = None if request.GET.get("new", NOW) == NOW else _chosen(changes, request.GET.get("new"))
    listed = list(changes[:MOST_CHOICES])
    listed += [each for each in (old, new) if each is not None and each not in listed]
    chosen = {"old": str(old.pk), "new": NOW if new is None else str(new.pk)}
    delta = SegmentDelta(
        before=state_after(old),
        after=_state_of(new, stored),
        members=member_deltas(members_at(old), _members_of(new, changes)),
    )
    known = delta.before is not None or delta.after is not None
    return respond(
        request,
        site,
        "admin/featureflags/history/compare.html",
        title=_("Compare versions of %s") % segment,
        trail=[*trail_of(segment, stored), history_link(segment)],
        segment=segment,
        form=CompareForm(initial=chosen, changes=listed),
        lines=delta_lines(delta, with_addresses=may_see(request, USER)) if known else [],
        rows=_side_by_side(delta.before, delta.after),
        old=old,
        old_label=version_in_words(old),
        new_label=_("what is there now") if new is None else version_in_words(new),
        may_restore=may_restore_here(request, stored is not None),
    )


def _last_but_one(changes: QuerySet[SegmentChange]) -> str:
    newest = list(changes.values_list("pk", flat=True)[:2])
    return str(newest[-1]) if newest else ""


def _chosen(changes: QuerySet[SegmentChange], text: str | None) -> SegmentChange:
    """Raises Http404."""
    if text is None or not text.isdecimal():
        raise Http404
    return get_object_or_404(changes, pk=int(text))


def _state_of(change: SegmentChange | None, stored: Segment | None) -> SegmentState | None:
    if change is not None:
        return state_after(change)
    return None if stored is None else stored.stored_state()


def _members_of(change: SegmentChange | None, changes: QuerySet[SegmentChange]) -> dict[str, Any]:
    last = change or changes.first()
    return {} if last is None else members_at(last)


def _side_by_side(old: SegmentState | None, new: SegmentState | None) -> list[Row]:
    labels = (_("Name"), _("Description"), _("Active"), _("Rules"))
    return [
        Row(label=label, old=tuple(before), new=tuple(after))
        for label, before, after in zip(labels, _cells(old), _cells(new), strict=True)
    ]


def _cells(state: SegmentState | None) -> Iterator[list[str]]:
    if state is None:
        yield from ([_("(no segment)")], [], [], [])
        return
    yield [state.name]
    yield [state.description] if state.description else []
    yield [_("Yes") if state.is_active else _("No")]
    yield rules_in_words(document_of(state)) or [_("No rules")]
