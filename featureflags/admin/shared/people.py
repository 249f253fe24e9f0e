"""Finds rows by a part of a name, an address or a key; and shows lists of rows, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest

from featureflags.admin.shared.pages import row_page
from featureflags.audience import AudienceFilter, SegmentAudience
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_or_user
from featureflags.segments.ruleset import Ruleset

MOST_CANDIDATES: Final = 20
"""Rows that a part of a name or address may find. If it finds more, the person must type more of it."""
PAGE_SIZE: Final = 50
SECONDS: Final = 5.0
"""The most that a page of a list takes; past that it says that there may be others."""


def people_named(kind: CompiledKind, text: str) -> list[Any]:
    """The row with this key or title, or those whose title or name has this part: one more than
    `MOST_CANDIDATES` at most. All that a snapshot needs comes with a row that is the only one."""
    text = text.strip()
    row = kind.find(text) if text else None
    if row is not None or not text or "\0" in text:
        return [] if row is None else [row]
    part = Q()
    for name in dict.fromkeys((kind.title, *kind.search)):
        part |= Q(**{f"{name}__icontains": text})
    found = list(kind.rows().filter(part).order_by(kind.title)[: MOST_CANDIDATES + 1])
    return [kind.find(kind.key_of(found[0]))] if len(found) == 1 else found


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
