"""Two or three segments compared: a picture, the numbers, and the people of each part."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _

from featureflags.admin.shared.pages import (
    SEGMENT,
    may_see,
    model_of,
    require,
    respond,
    segments_link,
)
from featureflags.admin.shared.people import people_page
from featureflags.admin.shared.segment_finder import finder, listed_segments
from featureflags.audience import (
    NotComparable,
    Overlap,
    Place,
    combination,
    overlap_of,
    places,
    with_segments,
)
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER, kind_or_user
from featureflags.models import Segment

NAMES: Final = ("a", "b", "c")
"""The parameters with the keys of the segments."""
SECONDS: Final = 8.0
PART: Final = "~part"

CIRCLES: Final = {2: ((120, 100), (200, 100)), 3: ((120, 95), (200, 95), (160, 165))}
RADIUS: Final = 75
NUMBERS: Final[dict[Place, tuple[int, int]]] = {
    (True, True): (160, 104),
    (True, False): (85, 104),
    (False, True): (235, 104),
    (True, True, True): (160, 122),
    (True, True, False): (160, 75),
    (True, False, True): (118, 140),
    (False, True, True): (202, 140),
    (True, False, False): (85, 75),
    (False, True, False): (235, 75),
    (False, False, True): (160, 205),
}
"""Where the number of each part is in the picture, which is not to scale."""
LABELS: Final = ((60, 16), (260, 16), (160, 258))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One combination of the segments."""

    words: str
    number: str
    share: str
    people: str
    """The address of the list; empty for those in none, and for readers who may not see rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedText:
    """A text in the picture."""

    x: int
    y: int
    text: str


def compare_segments(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The page. `a`, `b` and `c` are keys; without two of them it asks for them."""
    require(request, SEGMENT)
    keys = _keys(request)
    ruleset = known_ruleset().ruleset
    found, problem = None, ""
    if len(keys) > 1:
        try:
            found = overlap_of(ruleset, keys, seconds=SECONDS)
        except NotComparable:
            problem = _("Choose two or three different segments of one kind.")
    return respond(
        request,
        site,
        "admin/featureflags/segments/overlap.html",
        title=_("Compare segments"),
        trail=[segments_link()],
        **_choices(keys),
        selected=list(zip(NAMES, [*keys, "", "", ""][:3], strict=True)),
        problem=problem,
        found=found,
        **({} if found is None else _shown(request, found)),
    )


def compared_people(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The people of one part, page by page. `part`: `1` for each segment they are in, `0` for each other."""
    require(request, SEGMENT)
    keys, part = _keys(request), request.GET.get("part", "")
    ruleset = known_ruleset().ruleset
    kinds = {ruleset.definitions[key].kind for key in keys if key in ruleset.definitions}
    if len(keys) < 2 or len(kinds) != 1 or len(part) != len(keys) or not {*part} <= {*"01"}:
        raise Http404(_("There is no such part."))
    place = tuple(each == "1" for each in part)
    if not any(place) or any(key not in ruleset.definitions for key in keys):
        raise Http404(_("There is no such part."))
    kind = kind_or_user(kinds.pop())
    require(request, model_of(kind))
    chosen = dict(zip(NAMES, keys, strict=False))
    query = request.GET.get("q", "")
    page = people_page(
        request,
        with_segments(ruleset, combination(PART, keys, place, kind=kind.name)),
        PART,
        kept={**chosen, "part": part, "q": query},
        mark=lambda _row: "",
    )
    return respond(
        request,
        site,
        "admin/featureflags/segments/people.html",
        title=_in_words(keys, place),
        trail=[segments_link()],
        back=f"{reverse('admin:featureflags_segment_overlap')}?{urlencode(chosen)}",
        kept=[*chosen.items(), ("part", part)],
        query=query,
        kind=kind,
        people=page,
    )


def _keys(request: HttpRequest) -> list[str]:
    return [key for name in NAMES if (key := request.GET.get(name, "").strip())]


def _choices(keys: list[str]) -> dict[str, Any]:
    """Segments that are not archived, and those that were chosen; or the address that finds them."""
    rows = listed_segments()
    if rows is None:
        return {"finder": finder()}
    chosen = Segment.objects.filter(key__in=keys).values_list("key", "name")
    named = sorted({*rows, *chosen})
    return {"choices": [(key, f"{name} ({key})") for key, name in named]}


def _shown(request: HttpRequest, found: Overlap) -> dict[str, Any]:
    kind = kind_or_user(known_ruleset().ruleset.definitions[found.keys[0]].kind)
    sees = may_see(request, model_of(kind))
    address = reverse("admin:featureflags_segment_overlap_people")
    chosen = dict(zip(NAMES, found.keys, strict=False))

    def row(place: Place) -> PartRow:
        part = "".join("1" if is_in else "0" for is_in in place)
        has_list = sees and any(place) and (found.counts[place] or not found.is_exact)
        return PartRow(
            words=_in_words(found.keys, place),
            number=_number(found.counts[place]),
            share=_share(found.counts[place], found.rows),
            people=f"{address}?{urlencode({**chosen, 'part': part})}" if has_list else "",
        )

    circles = CIRCLES[len(found.keys)]
    return {
        "parts": [row(place) for place in places(len(found.keys))],
        "sizes": [(key, _number(found.size(key))) for key in found.keys],
        "sentences": _sentences(found, kind.name),
        "circles": [(number, x, y) for number, (x, y) in enumerate(circles, start=1)],
        "radius": RADIUS,
        "height": 200 if len(circles) == 2 else 270,
        "texts": [
            PlacedText(x=x, y=y, text=_number(found.counts[place]))
            for place in found.counts
            if any(place)
            for x, y in [NUMBERS[place]]
        ],
        "labels": [
            PlacedText(x=x, y=y, text=chr(ord("A") + at))
            for at, (x, y) in enumerate(LABELS[: len(circles)])
        ],
        "letters": [(chr(ord("A") + at), key) for at, key in enumerate(found.keys)],
    }


def _sentences(found: Overlap, kind: str) -> list[str]:
    """Sentences for the reader: one segment is empty or within another, or nobody is in all of some."""
    if not found.is_exact:
        return []
    filled = [key for key in found.keys if found.size(key)]
    said = [_nobody(kind, key) for key in found.keys if key not in filled]
    text = _("All of “%(one)s” are in “%(other)s”.")
    said += [
        text % {"one": one, "other": other}
        for one, other in permutations(filled, 2)
        if found.is_within(one, other)
    ]
    apart = [pair for pair in combinations(filled, 2) if not found.shared(*pair)]
    if len(filled) == 3 and not apart and not found.counts[True, True, True]:
        return [*said, _nobody(kind, *filled)]
    return said + [_nobody(kind, *pair) for pair in apart]


def _nobody(kind: str, *keys: str) -> str:
    texts = {
        1: (_("Nobody is in %(keys)s."), _("No %(kind)s is in %(keys)s.")),
        2: (_("Nobody is in both %(keys)s."), _("No %(kind)s is in both %(keys)s.")),
        3: (_("Nobody is in all of %(keys)s."), _("No %(kind)s is in all of %(keys)s.")),
    }
    named = _(" and ").join(f"“{key}”" for key in keys)
    return texts[len(keys)][kind != USER] % {"kind": noun(kind, 1), "keys": named}


def _in_words(keys: list[str] | tuple[str, ...], place: Place) -> str:
    within = [key for key, is_in in zip(keys, place, strict=True) if is_in]
    outside = [key for key, is_in in zip(keys, place, strict=True) if not is_in]
    if not within:
        return _("In none of them")
    text = _("In %s") % _(" and ").join(within)
    if outside:
        text += _(", not in %s") % _(" or ").join(outside)
    return text


def _number(number: int) -> str:
    return formats.number_format(number, force_grouping=True)


def _share(number: int, rows: int) -> str:
    return f"{formats.number_format(round(100 * number / rows, 1), 1)}\u00a0%" if rows else ""
