"""A form that is out of date, because somebody else has saved the segment since it was filled.

It comes back as it was typed, with what the others changed filled in where nothing was typed, and
both versions side by side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from featureflags.admin.shared.json_forms import pretty_json
from featureflags.admin.shared.pages import kinds_seen
from featureflags.core.input_gate import whole_number
from featureflags.editing import owner_in_words, rules_in_words, segment_in_words
from featureflags.editing.history import DescribedEntry, describe, entries_of, state_at
from featureflags.models import Segment
from featureflags.models.changesets import SegmentState

VERSION: Final = "_version"
TAKE: Final = "_take_theirs"
"""The button that fills one field of a form with what is stored."""

FIELDS: Final = ("name", "description", "is_active", "tags", "owner", "rules", "salt")
MOST_ENTRIES: Final = 20


class Stale(Exception):
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
    """What the page shows above a stale form."""

    entries: tuple[DescribedEntry, ...]
    """What others have done since, the newest first. Empty: the history does not know."""
    mine: tuple[str, ...]
    """What was typed, against what the form was filled from."""
    both: tuple[BothChanged, ...]
    merged: tuple[str, ...]
    """Labels of the fields that show what the others saved."""


def refuse_stale(mine: SegmentState, stored: SegmentState, based_on: int) -> None:
    """Raises Stale if the version that the form was filled from says something else."""
    base = state_at(stored.key, based_on)
    if base is None or not base.says_the_same(stored):
        raise Stale(mine, base, stored)


def merge(request: HttpRequest, stale: Stale) -> Conflict:
    """Fill the form with what the others saved where nothing was typed, and describe both sides."""
    data = request.POST.copy()
    data[VERSION] = str(stale.stored.version)
    taken, both = [], []
    for field in FIELDS:
        mine, theirs = getattr(stale.mine, field), getattr(stale.stored, field)
        base = getattr(stale.base, field, None)
        if stale.base is not None and _same(theirs, base):
            continue
        if stale.base is not None and _same(mine, base):
            _fill(data, field, theirs)
            taken.append(field)
        elif not _same(mine, theirs):
            both.append(field)
    based_on = whole_number(request.POST.get(VERSION)) or 0
    since = entries_of(stale.stored.key).filter(version__gt=based_on)
    send_instead(request, data)
    return Conflict(
        entries=tuple(describe(since[:MOST_ENTRIES], sees=kinds_seen(request))),
        mine=tuple(segment_in_words(stale.base or stale.stored, stale.mine)),
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


def _same(one: object, other: object) -> bool:
    # As JSON text, True and 1 stay apart.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _fill(data: QueryDict, field: str, value: Any) -> None:
    """What a browser would send for this value."""
    if field == "tags":
        data[field] = ", ".join(value)
    elif field != "is_active":
        data[field] = pretty_json(value) if field == "rules" else str(value)
    elif value:
        data[field] = "on"
    else:
        data.pop(field, None)


def _label(field: str) -> str:
    return str(Segment._meta.get_field(field).verbose_name).capitalize()  # type: ignore[union-attr]


def _in_words(state: SegmentState, field: str) -> Iterator[str]:
    if field == "rules":
        yield from rules_in_words(state) or [_("No rules")]
    elif field == "is_active":
        yield _("Yes") if state.is_active else _("No")
    elif field == "tags":
        yield ", ".join(state.tags) or _("(empty)")
    elif field == "owner":
        yield owner_in_words(state.owner) or _("(empty)")
    else:
        yield getattr(state, field) or _("(empty)")


def take_theirs(request: HttpRequest, object_id: str) -> None:
    """Fill the field that was asked for with what is stored."""
    field = request.POST[TAKE]
    pk = whole_number(unquote(object_id))
    if field not in FIELDS or pk is None:
        return
    stored = Segment.objects.filter(pk=pk).states().get(pk)
    if stored is not None:
        data = request.POST.copy()
        _fill(data, field, getattr(stored, field))
        send_instead(request, data)


def send_instead(request: HttpRequest, data: QueryDict) -> None:
    """Replace what was sent with this form."""
    request.POST = data  # type: ignore[assignment]  # Django sets it in the same way
