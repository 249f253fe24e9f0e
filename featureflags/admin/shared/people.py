"""Finds rows by a part of a name, an address or a key; and shows lists of rows, page by page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from featureflags.admin.shared.pages import row_page
from featureflags.audience import AudienceFilter, SegmentAudience
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER, kind_or_user
from featureflags.segments.ruleset import Ruleset

MOST_CANDIDATES: Final = 20
"""Rows that a part of a name or address may find. If it finds more, the person must type more of it."""
PAGE_SIZE: Final = 50
SECONDS: Final = 5.0
"""The most that a page of a list takes; past that it says that there may be others."""


def people_named(kind: CompiledKind, text: str) -> list[Any]:
    """As `rows_named`, of one kind."""
    return [row for _kind, row in rows_named([kind], text)]


def rows_named(kinds: Collection[CompiledKind], text: str) -> list[tuple[CompiledKind, Any]]:
    """The rows of these kinds with this key or title; without any, those whose title or name has this part: one
    more than `MOST_CANDIDATES` of each at most. All that a snapshot needs comes with a row that is the only one."""
    text = text.strip()
    if not text or "\0" in text:
        return []
    if exact := [(kind, row) for kind in kinds if (row := kind.find(text)) is not None]:
        return exact
    found = [(kind, row) for kind in kinds for row in _with_part(kind, text)]
    return (
        [(kind, kind.find(kind.key_of(row))) for kind, row in found] if len(found) == 1 else found
    )


def _with_part(kind: CompiledKind, text: str) -> QuerySet[Any]:
    part = Q()
    for name in dict.fromkeys((kind.title, *kind.search)):
        part |= Q(**{f"{name}__icontains": text})
    return kind.rows().filter(part).order_by(kind.title)[: MOST_CANDIDATES + 1]


def not_found(kinds: Collection[CompiledKind]) -> str:
    """What is said where `rows_named` finds none."""
    if [kind.name for kind in kinds] == [USER]:
        return _("Nobody has this key, or this in their name or address.")
    text = _("None of the %(kinds)s has this key, or this in the name or address.")
    return text % {"kinds": ", ".join(noun(kind.name) for kind in kinds)}


def too_many(number: int) -> str:
    """What is said where `rows_named` finds several."""
    if number > MOST_CANDIDATES:
        return _("Many have this: write more of it, or choose one.")
    return _("Several have this: choose one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One row of a list."""

    key: str
    title: str
    name: str
    page: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """A page of a list. The addresses name keys, so that a server logs no address of a person."""

    rows: tuple[PersonRow, ...]
    previous: str
    next: str
    is_cut: bool


def people_page(
    request: HttpRequest,
    ruleset: Ruleset,
    key: str,
    *,
    kept: Mapping[str, str],
    mark: Callable[[Any], str],
) -> PeoplePage:
    """The rows in the segment `key` of these rules. `kept`: parameters of the links, the search `q` among
    them. `mark`: what is said of a snapshot."""
    kind = kind_or_user(ruleset.definitions[key].kind)
    wanted = AudienceFilter(search=kept.get("q", ""))
    audience = SegmentAudience(ruleset, key, now=now_in_microseconds(), wanted=wanted)
    after, before = request.GET.get("after"), request.GET.get("before")
    found = audience.page(PAGE_SIZE, after=after, before=before, seconds=SECONDS)
    keys = [member.user.key for member in found.members]

    def turned(name: str, keys: list[str]) -> str:
        shown = {name: value for name, value in kept.items() if value}
        return "?" + urlencode({**shown, name: keys[0]}, doseq=True) if keys else ""

    return PeoplePage(
        rows=tuple(
            PersonRow(
                key=member.user.key,
                title=kind.title_of(member.user),
                name=kind.label_of(member.user),
                page=row_page(kind, member.user.key),
                mark=mark(member.user),
            )
            for member in found.members
        ),
        previous=turned("before", keys[:1]) if found.has_previous else "",
        next=turned("after", keys[-1:]) if found.has_next else "",
        is_cut=found.is_cut,
    )
