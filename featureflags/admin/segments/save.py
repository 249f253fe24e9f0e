"""How the admin saves a segment: nothing that somebody else has saved meanwhile is overwritten
unseen, and what moves many users, or flags rest on, is confirmed first.

The form carries the version that it was filled from. Where that is not the stored one any more,
the form comes back as it was typed, with what the others changed filled in where nothing was
typed, and both versions side by side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.segments.confirm import (
    BACK,
    NOTE,
    HeldForm,
    NeedsConfirmation,
    Question,
    confirmation_page,
    require_confirmation,
)
from featureflags.admin.shared.pages import USER, change_link, may_see, segments_link
from featureflags.admin.shared.refusals import RefusingModelAdmin
from featureflags.editing.changes import SegmentDelta
from featureflags.editing.confirmation import examine
from featureflags.editing.differences import rules_in_words
from featureflags.editing.documents import document_of
from featureflags.editing.history.entries import (
    Entry,
    changes_of,
    definition_lines,
    entries,
    state_at,
)
from featureflags.models import Segment
from featureflags.models.changesets import SegmentState, segment_change
from users.forms import pretty_json

SOURCE: Final = "admin"
VERSION: Final = "_version"
TAKE: Final = "_take_theirs"
"""The button that fills one field of a form with what is stored."""

HELD: Final = "_held"
HOLDS: Final = (BACK, TAKE, HELD)
"""What is sent with a form that is to be shown again, and not to be saved."""
MOST_ENTRIES: Final = 20

NOTE_FIELDSET: Final = (gettext_lazy("Note"), {"fields": (NOTE,)})
FIELDS: Final = ("name", "description", "is_active", "rules")
LONGEST_NOTE: Final = 1000

if TYPE_CHECKING:
    SegmentModelForm = forms.ModelForm[Segment]
else:
    SegmentModelForm = forms.ModelForm


class SegmentForm(HeldForm, SegmentModelForm):
    """A segment, with a note for its history."""

    note = forms.CharField(
        label=gettext_lazy("Note for the history"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text=gettext_lazy("Why you change it. May be empty."),
    )

    @cached_property
    def changed_data(self) -> list[str]:
        """As Django's. A note changes nothing."""
        return [name for name in super().changed_data if name != NOTE]


class Stale(Exception):  # noqa: N818 - the name says what is stale
    """Somebody else has saved since this form was filled."""

    def __init__(self, mine: SegmentState, base: SegmentState | None, stored: SegmentState) -> None:
        super().__init__(stored.key)
        self.mine, self.base, self.stored = mine, base, stored


@dataclass(frozen=True, slots=True, kw_only=True)
class BothChanged:
    """One field that both have changed."""

    field: str
    label: str
    theirs: tuple[str, ...]
    mine: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """What the page says of a stale form."""

    entries: tuple[Entry, ...]
    """What others have done since, the newest first. Empty: the history does not know."""
    mine: tuple[str, ...]
    """What was typed, against what the form was filled from."""
    both: tuple[BothChanged, ...]
    merged: tuple[str, ...]
    """Labels of the fields that show what the others saved, since nothing was typed there."""


def save_segment(request: HttpRequest, segment: Segment, note: str) -> None:
    """Save what was typed. Raises Stale, NeedsConfirmation, and what `Segment.save` does."""
    adding = segment._state.adding  # noqa: SLF001 - Django's documented state
    stored = None if adding else segment.stored_state()
    mine = segment.as_state()
    if stored is not None:
        _refuse_stale(request, mine, stored)
    delta = SegmentDelta(before=stored, after=mine)
    moved = {}
    if not delta.is_nothing:
        examination = examine(None if adding else segment.pk, delta)
        require_confirmation(request, [examination])
        moved[segment.key] = examination.moved
    with segment_change(note=note, source=SOURCE, moved=moved):
        segment.save(expected_version=None if stored is None else stored.version)


def _refuse_stale(request: HttpRequest, mine: SegmentState, stored: SegmentState) -> None:
    based_on = _posted_version(request)
    if based_on is None or based_on == stored.version:
        return
    base = state_at(stored.key, based_on)
    if base is None or not base.says_the_same(stored):
        raise Stale(mine, base, stored)


def _posted_version(request: HttpRequest) -> int | None:
    text = request.POST.get(VERSION, "")
    return int(text) if text.isdecimal() else None


def merged(data: QueryDict, stale: Stale) -> tuple[QueryDict, list[str]]:
    """What was typed, with what is stored where nothing was typed; and the fields of the latter."""
    data = data.copy()
    data[VERSION] = str(stale.stored.version)
    taken = []
    for field in FIELDS:
        mine, base = getattr(stale.mine, field), getattr(stale.base, field, None)
        theirs = getattr(stale.stored, field)
        if stale.base is not None and _same(mine, base) and not _same(theirs, base):
            _fill(data, field, theirs)
            taken.append(field)
    return data, taken


def _same(one: object, other: object) -> bool:
    # As JSON text, True and 1 stay apart.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _fill(data: QueryDict, field: str, value: Any) -> None:
    """What a browser would send for this value."""
    if field != "is_active":
        data[field] = pretty_json(value) if field == "rules" else str(value)
    elif value:
        data[field] = "on"
    else:
        data.pop(field, None)


def conflict(request: HttpRequest, stale: Stale, taken: list[str]) -> Conflict:
    """What to say of a stale form, and both versions of what both have changed."""
    since = changes_of(stale.stored.key).filter(version__gt=_posted_version(request) or 0)
    found = since.select_related("actor", "restored")[:MOST_ENTRIES]
    both = [
        field
        for field in FIELDS
        if field not in taken
        and not _same(getattr(stale.mine, field), getattr(stale.stored, field))
        and (
            stale.base is None
            or not _same(getattr(stale.base, field), getattr(stale.stored, field))
        )
    ]
    return Conflict(
        entries=tuple(entries(found, with_addresses=may_see(request, USER))),
        mine=tuple(definition_lines(stale.base or stale.stored, stale.mine)),
        both=tuple(
            BothChanged(
                field=field,
                label=_label(field),
                theirs=tuple(_in_words(stale.stored, field)),
                mine=tuple(_in_words(stale.mine, field)),
            )
            for field in both
        ),
        merged=tuple(_label(field) for field in taken),
    )


def _label(field: str) -> str:
    return str(Segment._meta.get_field(field).verbose_name).capitalize()  # type: ignore[union-attr]  # noqa: SLF001


def _in_words(state: SegmentState, field: str) -> Iterator[str]:
    if field == "rules":
        yield from rules_in_words(document_of(state)) or [_("No rules")]
    elif field == "is_active":
        yield _("Yes") if state.is_active else _("No")
    else:
        yield getattr(state, field) or _("(empty)")


class GuardedSegmentAdmin(RefusingModelAdmin[Segment]):
    """Asks before a segment is saved; see the top of this module."""

    form = SegmentForm

    def get_form(
        self, request: HttpRequest, obj: Segment | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Segment]]:
        """As Django's, which makes a class for each request."""
        form = super().get_form(request, obj, change, **kwargs)
        form.is_held = any(name in request.POST for name in HOLDS)  # type: ignore[attr-defined]
        return form

    def with_note(self, request: HttpRequest, fieldsets: Any) -> list[Any]:
        """The fieldsets, and the note for whoever may save."""
        may_save = self.has_change_permission(request) or self.has_add_permission(request)
        return [*fieldsets, NOTE_FIELDSET] if may_save else list(fieldsets)

    def save_model(
        self,
        request: HttpRequest,
        obj: Segment,
        form: forms.ModelForm[Segment],
        change: bool,  # noqa: ARG002 - Django's signature
    ) -> None:
        save_segment(request, obj, form.cleaned_data.get(NOTE, ""))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's. It may ask first, or show what others have saved meanwhile."""
        if object_id is not None and TAKE in request.POST:
            _take_theirs(request, object_id)
        shown = {**(extra_context or {}), "based_on": request.POST.get(VERSION, "")}
        try:
            return super().changeform_view(request, object_id, form_url, shown)
        except NeedsConfirmation as asked:
            trail = [segments_link()]
            if object_id is not None:
                trail.append(change_link(object_id, asked.examinations[0].key))
            question = Question(examinations=asked.examinations, trail=trail)
            return confirmation_page(request, self.admin_site, question)
        except Stale as stale:
            data, taken = merged(request.POST, stale)
            shown |= {
                "conflict": conflict(request, stale, taken),
                "based_on": stale.stored.version,
            }
            data[HELD] = "1"
            send_instead(request, data)
            return super().changeform_view(request, object_id, form_url, shown)


def _take_theirs(request: HttpRequest, object_id: str) -> None:
    """Fill one field with what is stored."""
    field = request.POST[TAKE]
    pk = unquote(object_id)
    if field not in FIELDS or not pk.isdecimal():
        return
    stored = Segment.objects.filter(pk=int(pk)).states().get(int(pk))
    if stored is not None:
        data = request.POST.copy()
        _fill(data, field, getattr(stored, field))
        send_instead(request, data)


def send_instead(request: HttpRequest, data: QueryDict) -> None:
    """Have whoever handles the request find this, as if it had been sent."""
    request.POST = data  # type: ignore[assignment]  # Django sets it just so
