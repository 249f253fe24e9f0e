"""The page that asks before a change is made: whom it moves, which flags rest on it, what it says.

A change is asked about by raising NeedsConfirmation while it is made, in the transaction of the
view, so that nothing is written. The page sends back all that was typed, with a token for exactly
what it showed. “Back” shows the form again as it was typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from featureflags.admin.shared.pages import USER, Link, may_see, respond
from featureflags.audience.impact import Part, SampleUser
from featureflags.editing.confirmation import (
    Examination,
    FlagUse,
    are_confirmed,
    sign,
    why_in_words,
)
from featureflags.editing.history.entries import delta_lines
from users.models import User

TEMPLATE = "admin/featureflags/segments/confirm.html"

TOKEN: Final = "_confirmed"  # noqa: S105 - the name of a field
KEY: Final = "_key"
NOTE: Final = "note"
BACK: Final = "_back"
MINUS: Final = "\u2212"
OURS: Final = frozenset({TOKEN, KEY, NOTE, BACK, "csrfmiddlewaretoken"})
"""What the page itself sends; everything else is carried along."""


class NeedsConfirmation(Exception):  # noqa: N818 - the name says what it takes
    """Nothing is written before somebody has confirmed it."""

    def __init__(self, examinations: Sequence[Examination]) -> None:
        super().__init__("; ".join(each.key for each in examinations))
        self.examinations = tuple(examinations)


class HeldForm(forms.BaseForm):
    """A form that can be shown as it was typed, and saves nothing then."""

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
    """The address to go back to, where there was no form that can be shown again."""
    verb: str = ""
    """What the button says that makes the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """Those who enter, or those who leave."""

    title: str
    number: str
    """With its sign: `at least +1,200`."""
    people: tuple[SampleUser, ...]
    """A few of them, if whoever asks may see users."""
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One segment on the page, in words."""

    key: str
    why: tuple[str, ...]
    lines: tuple[str, ...]
    moving: tuple[Moving, ...]
    uses: tuple[FlagUse, ...]
    needs_key: bool
    is_wrong: bool
    """A key was typed, and it is not the segment's."""


def require_confirmation(request: HttpRequest, examinations: Sequence[Examination]) -> None:
    """Raises NeedsConfirmation unless nothing needs it, or just this was confirmed, with the keys
    that have to be typed."""
    asking = [each for each in examinations if each.needs_confirmation]
    if asking and not is_confirmed_here(request, asking):
        raise NeedsConfirmation(asking)


def is_confirmed_here(request: HttpRequest, examinations: Sequence[Examination]) -> bool:
    """Whether just these were confirmed on the page, with the keys that have to be typed."""
    keys = {each.key for each in examinations if each.needs_key}
    return _was_shown(request, examinations) and keys <= set(typed_keys(request))


def _was_shown(request: HttpRequest, examinations: Sequence[Examination]) -> bool:
    return are_confirmed(examinations, request.POST.get(TOKEN, ""), user_of(request))


def typed_keys(request: HttpRequest) -> list[str]:
    """The keys that somebody typed to confirm that segments disappear."""
    return [text.strip() for text in request.POST.getlist(KEY)]


def user_of(request: HttpRequest) -> User:
    """Whoever asks. Raises PermissionDenied for nobody."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


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
    return respond(
        request,
        site,
        TEMPLATE,
        title=question.title or _("Please confirm: %s") % keys,
        trail=question.trail,
        shown=[_shown(request, each) for each in examinations],
        asked_before=TOKEN in request.POST and not _was_shown(request, examinations),
        remarks=question.remarks,
        verb=question.verb or _("Save"),
        is_danger=any(each.delta.after is None for each in examinations),
        carried=[*sent, *question.carried.items()],
        note=request.POST.get(NOTE, ""),
        token=sign(examinations, user_of(request)),
        action=request.get_full_path(),
        back=question.back,
    )


def _shown(request: HttpRequest, one: Examination) -> Shown:
    sees_people = may_see(request, USER)
    return Shown(
        key=one.key,
        why=tuple(why_in_words(one)),
        lines=tuple(delta_lines(one.delta, with_addresses=sees_people)),
        moving=(
            _moving(_("Entering"), "+", one.impact.entering, sees_people=sees_people),
            _moving(_("Leaving"), MINUS, one.impact.leaving, sees_people=sees_people),
        ),
        uses=one.uses,
        needs_key=one.needs_key,
        is_wrong=one.needs_key and KEY in request.POST and one.key not in typed_keys(request),
    )


def _moving(title: str, mark: str, part: Part, *, sees_people: bool) -> Moving:
    number = f"{mark}{part.at_least:,}" if part.at_least else "0"
    people = part.samples if sees_people else ()
    more = part.at_least - len(people)
    return Moving(
        title=title,
        number=number if part.is_exact else _("at least %s") % number,
        people=people,
        more=_("and %s more") % f"{more:,}" if people and more > 0 else "",
    )
