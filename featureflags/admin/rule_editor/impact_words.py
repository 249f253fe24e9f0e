"""What the preview shows of an impact: numbers, shares and people, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.shared.formatting import estimate_in_words, with_thousands
from featureflags.admin.shared.pages import may_see, model_of, row_page
from featureflags.audience import Impact, Part
from featureflags.core.conf import app_settings
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER as USER_KIND


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An example. Without a `href`, `name` is the key."""

    name: str
    title: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users who match, enter or leave: how many, in words, and some of them."""

    words: str
    people: tuple[Person, ...]


def impact_in_words(
    request: HttpRequest, impact: Impact, kind: CompiledKind, *, is_new: bool
) -> dict[str, Any]:
    """What the fragment shows of an impact, also as part of a page."""
    shows_people = may_see(request, model_of(kind))

    def group(part: Part, words: str) -> Group:
        return Group(words=words, people=_people(part, kind, shows_people))

    moving = [
        group(part, _moving_in_words(part, exact, estimated))
        for part, exact, estimated in (
            (impact.entering, _("+%s enter"), _("%s enter")),
            (impact.leaving, _("−%s leave"), _("%s leave")),  # noqa: RUF001 - the sign of a number
        )
        if not is_new and (part.at_least or not part.is_exact)
    ]
    matching = group(impact.matching, _matching_in_words(impact.matching, kind))
    is_unchanged = not is_new and not moving
    is_asked = "rules" in request.POST
    unchanged = _("Nobody enters or leaves.") if is_unchanged and is_asked else ""
    return {
        "matching": matching,
        "moving": moving,
        "unchanged": unchanged,
        "share": _share_in_words(impact, kind),
        "percent": None if impact.share is None else f"{impact.share * 100:.2f}",
        "may_test": shows_people,
        "is_exact": impact.is_exact,
        "is_estimate": impact.matching.estimate is not None,
        "is_first": "quick" in request.POST and not impact.is_exact,
        "seconds": f"{app_settings().impact_seconds:g}",
        "summary": ". ".join(
            filter(None, [matching.words, *(each.words for each in moving), unchanged])
        ),
    }


def _people(part: Part, kind: CompiledKind, shows_people: bool) -> tuple[Person, ...]:
    """Names and addresses if the reader may see users, else keys without links."""
    if not shows_people:
        return tuple(Person(name=user.key) for user in part.samples)
    return tuple(
        Person(
            name=user.name or user.title,
            title=user.title if user.name else "",
            href=row_page(kind, user.key),
        )
        for user in part.samples
    )


def _moving_in_words(part: Part, exact: str, estimated: str) -> str:
    """How many enter or leave. `exact` has the sign of the number, which words before it do not take."""
    if part.estimate is not None:
        number, margin = estimate_in_words(part.estimate)
        return estimated % number + margin
    words = exact % with_thousands(part.at_least)
    return words if part.is_exact else _("at least %s") % words


def _matching_in_words(part: Part, kind: CompiledKind) -> str:
    count = part.at_least if part.estimate is None else part.estimate.high
    text = ngettext("%(number)s user matches", "%(number)s users match", count)
    if kind.name != USER_KIND:
        text = _("%(number)s of the %(rows)s")
    number, margin = with_thousands(part.at_least), ""
    if part.estimate is not None:
        number, margin = estimate_in_words(part.estimate)
    words = text % {"number": number, "rows": kind.plural} + margin
    is_known = part.is_exact or part.estimate is not None
    return words if is_known else _("at least %s") % words


def _share_in_words(impact: Impact, kind: CompiledKind) -> str:
    """The share of all users in per cent, with useful digits; empty if it is not known."""
    if impact.share is None:
        return ""
    if impact.matching.estimate is not None and impact.matching.estimate.about == 0:
        return ""
    percent = impact.share * 100
    digits = 0 if percent >= 10 or percent == 0 else 1 if percent >= 1 else 2
    total = impact.users.at_least
    text = ngettext("%(percent)s %% of %(users)s user", "%(percent)s %% of %(users)s users", total)
    if kind.name != USER_KIND:
        text = _("%(percent)s %% of %(users)s %(rows)s")
    return text % {
        "rows": kind.plural,
        "percent": formats.number_format(round(percent, digits), digits),
        "users": with_thousands(total),
    }
