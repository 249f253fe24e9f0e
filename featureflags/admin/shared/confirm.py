"""The page that asks before a change is made. It shows who enters and leaves, which flags use the
segment, and what differs.

`write` raises NeedsConfirmation inside the transaction of its view, so nothing is written. The page
sends back the form that was sent, with a token for exactly what it showed. “Back” shows the form
again as it was typed. With a later instant, or where somebody else must approve, `write` raises Planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from featureflags.admin.shared.pages import Link, kinds_seen, respond, user_of
from featureflags.admin.shared.planning import (
    DUE,
    HOW,
    LATER,
    approval_or_plan,
    is_answered,
    when_of,
)
from featureflags.audience import Part, SampleUser
from featureflags.editing import (
    Change,
    Examination,
    FlagEffects,
    FlagUse,
    apply,
    are_confirmed,
    change_in_words,
    examine,
    flag_effects,
    sign,
    why_in_words,
)
from featureflags.models import Segment, segment_graph

SOURCE: Final = "admin"
"""What the history stores as the source of a change."""

TOKEN: Final = "_confirmed"  # noqa: S105 - the name of a field
KEY: Final = "_key"
NOTE: Final = "note"
BACK: Final = "_back"
SECONDS: Final = 2.0
"""For all values of flags that a page shows."""
MINUS: Final = "\u2212"
OURS: Final = frozenset({TOKEN, KEY, NOTE, BACK, DUE, HOW, "csrfmiddlewaretoken"})
"""Fields of the page itself; it carries along all others."""


class NeedsConfirmation(Exception):
    """Nothing is written before somebody has confirmed these changes."""

    def __init__(self, examinations: Sequence[Examination]) -> None:
        super().__init__("; ".join(each.key for each in examinations))
        self.examinations = tuple(examinations)


class HeldForm(forms.BaseForm):
    """A form that can be shown as it was typed, and then saves nothing."""

    is_held = False

    def is_valid(self) -> bool:
        return super().is_valid() and not self.is_held


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the page asks."""

    examinations: Sequence[Examination]
    trail: Sequence[Link]
    title: str = ""
    remarks: Sequence[str] = ()
    carried: Mapping[str, str] = field(default_factory=dict)
    """Sent along with the form that was sent."""
    back: str = ""
    """The address to go back to, where no form can be shown again."""
    verb: str = ""
    """The text of the button that makes the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedPart:
    """The users who enter, or those who leave."""

    title: str
    number: str
    """With its sign: `at least +1,200`."""
    people: tuple[SampleUser, ...]
    """A few of them, if the reader may see users."""
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """The change of one segment, in words."""

    key: str
    why: tuple[str, ...]
    lines: tuple[str, ...]
    moving: tuple[MovedPart, ...]
    uses: tuple[FlagUse, ...]
    effects: FlagEffects | None
    """What the users who move get of each flag, before and after."""
    needs_key: bool
    is_wrong: bool
    """A key was typed that is not the segment's."""


def write(
    request: HttpRequest, *changes: Change, row: Segment | None = None, note: str | None = None
) -> None:
    """Examine and apply these changes: all of them, or none.

    `row`: the segment's object, where a form has one to save. `note`: by default the one that was
    sent. Raises NeedsConfirmation, Planned, and what `apply` raises.
    """
    archived = {change.key for change in changes if change.archives}
    graph = segment_graph() if len(changes) > 1 else None
    examined = [examine(change, together=archived, graph=graph) for change in changes]
    is_later = LATER in request.POST
    asking = [one for one in examined if is_later or one.needs_confirmation or one.needs_approval]
    if asking and not is_confirmed_here(request, asking):
        raise NeedsConfirmation(asking)
    write_confirmed(request, examined, row=row, note=note)


def write_confirmed(
    request: HttpRequest,
    examined: Sequence[Examination],
    *,
    row: Segment | None = None,
    note: str | None = None,
) -> list[Segment]:
    """Apply what was confirmed. Raises Planned where it is proposed or scheduled instead."""
    note = note_of(request) if note is None else note
    approval = approval_or_plan(request, examined, SOURCE, note)
    return apply(*examined, source=SOURCE, note=note, row=row, approval=approval)


def note_of(request: HttpRequest) -> str:
    """The note that was sent, without NUL, which PostgreSQL does not store."""
    return request.POST.get(NOTE, "").replace("\0", "")


def is_confirmed_here(request: HttpRequest, examinations: Sequence[Examination]) -> bool:
    """True if exactly these were confirmed on the page, with the keys that must be typed, and a valid
    instant where one was sent."""
    keys = {each.key for each in examinations if each.needs_key}
    is_shown = _was_shown(request, examinations) and is_answered(request, examinations)
    return is_shown and keys <= set(_typed_keys(request))


def _was_shown(request: HttpRequest, examinations: Sequence[Examination]) -> bool:
    return are_confirmed(examinations, request.POST.get(TOKEN, ""), user_of(request))


def _typed_keys(request: HttpRequest) -> list[str]:
    return [text.strip() for text in request.POST.getlist(KEY)]


def confirmation_page(request: HttpRequest, site: AdminSite, question: Question) -> HttpResponse:
    """The page that asks. It posts to the address of the form that was sent, and all of that form."""
    sent = [
        (name, value)
        for name in request.POST
        if name not in OURS
        for value in request.POST.getlist(name)
    ]
    examinations = question.examinations
    keys = ", ".join(each.key for each in examinations)
    deletes = any(each.change.after is None for each in examinations)
    default = _("Delete %s?") if deletes else _("Please confirm: %s")
    return respond(
        request,
        site,
        "admin/featureflags/segments/confirm.html",
        title=question.title or default % keys,
        trail=question.trail,
        shown=[shown_change(request, each, SECONDS / len(examinations)) for each in examinations],
        when=when_of(request, examinations),
        asked_before=TOKEN in request.POST and not _was_shown(request, examinations),
        remarks=question.remarks,
        verb=question.verb or _("Save"),
        is_danger=deletes,
        carried=[*sent, *question.carried.items()],
        note=note_of(request),
        token=sign(examinations, user_of(request)),
        action=request.get_full_path(),
        back=question.back,
    )


def shown_change(request: HttpRequest, one: Examination, seconds: float = SECONDS) -> ShownChange:
    """The change of one segment, in words, as the person may see it."""
    sees = kinds_seen(request)
    sees_people = one.change.state.kind in sees
    return ShownChange(
        key=one.key,
        why=tuple(why_in_words(one)),
        lines=tuple(change_in_words(one.change, with_addresses=sees_people)),
        moving=(
            _moved_part(_("Entering"), "+", one.impact.entering, sees_people=sees_people),
            _moved_part(_("Leaving"), MINUS, one.impact.leaving, sees_people=sees_people),
        ),
        uses=one.uses,
        effects=flag_effects(one, sees=sees, seconds=seconds),
        needs_key=one.needs_key,
        is_wrong=one.needs_key and KEY in request.POST and one.key not in _typed_keys(request),
    )


def _moved_part(title: str, sign: str, part: Part, *, sees_people: bool) -> MovedPart:
    number = f"{sign}{part.at_least:,}" if part.at_least else "0"
    people = part.samples if sees_people else ()
    more = part.at_least - len(people)
    return MovedPart(
        title=title,
        number=number if part.is_exact else _("at least %s") % number,
        people=people,
        more=_("and %s more") % f"{more:,}" if people and more > 0 else "",
    )
