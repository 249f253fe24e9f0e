"""The live preview of a segment's rules: who would be in it, who would enter, who would leave.

Nothing is written, and no events are sent. Hidden SQL: see
`featureflags.audience.impact`, and one query for the graph of segments.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from featureflags.admin.shared.formatting import estimate_in_words, with_thousands
from featureflags.admin.shared.json_forms import read_json
from featureflags.admin.shared.pages import may_see, model_of, row_page
from featureflags.audience import Impact, Part, lint_segment, preview_of, unsaved_segment
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER as USER_KIND
from featureflags.kinds.registry import kind_or_user
from featureflags.models import Segment, segment_graph
from featureflags.models.stored_forms import in_stored_form
from featureflags.models.validation import find_problems
from featureflags.segments.definitions import Problem, SegmentDefinition

logger = logging.getLogger(__name__)

TEMPLATE = "admin/featureflags/rule_editor/impact.html"
LINT_TEMPLATE = "admin/featureflags/rule_editor/lint.html"
NEW = ""
"""The key of a new segment: no stored segment can have it."""


class NotYetJSON(ValueError):
    """The text that was sent is not JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An example. Without a `href`, `name` is the key."""

    name: str
    email: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users who match, enter or leave: how many, in words, and some of them."""

    words: str
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRules:
    """What an editor holds."""

    kind: CompiledKind
    is_new: bool
    remarks: list[Problem]
    """On values that would be changed to be saved."""
    problems: list[str]
    definition: SegmentDefinition | None
    """None: the rules have problems."""


@require_POST
def preview(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """A fragment of a page about the rules that were sent. It answers 200 for any rules.

    POST: `segment` (the key of the one that is changed; empty: a new one, whose `key` is typed),
    `rules` (JSON text), `salt` and `is_active`; what is not sent is as it is stored. With `quick` the numbers of a
    large table may be estimates, and the page asks again for the exact ones. It takes the permission to
    view, change or add segments.
    """
    del site
    may_preview(request)
    try:
        asked = asked_rules(request)
        if asked.definition is None:
            return _unfinished(request, asked.problems)
        impact = preview_of(asked.definition, quick="quick" in request.POST)
    except NotYetJSON:
        return _unfinished(request, [_("This is not JSON yet.")])
    except DatabaseError as error:
        name = type(error).__name__
        report(logger, "preview_failed", "A preview failed: %s", name)
        return render(
            request, TEMPLATE, {"failure": _("The database does not answer at the moment.")}
        )
    page = impact_in_words(request, impact, asked.kind, is_new=asked.is_new)
    return render(request, TEMPLATE, {"remarks": asked.remarks, **page})


@require_POST
def lint(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """A fragment that names what is odd about these rules; as `preview`. Empty where it cannot say."""
    del site
    may_preview(request)
    found = None
    try:
        asked = asked_rules(request)
        found = None if asked.definition is None else lint_segment(asked.definition)
    except NotYetJSON:
        pass
    except DatabaseError as error:
        report(logger, "lint_failed", "Rules could not be looked at: %s", type(error).__name__)
    return render(request, LINT_TEMPLATE, {"lint": found})


def asked_rules(request: HttpRequest) -> AskedRules:
    """The rules that an editor sent. Raises NotYetJSON and DatabaseError."""
    key = request.POST.get("segment", NEW)
    stored = Segment.objects.filter(key=key).first()
    asked, is_active = _asked(request, stored)
    kind = kind_or_user(request.GET.get("kind", USER_KIND) if stored is None else stored.kind)
    raw, remarks = in_stored_form(asked, kind.name)
    graph = segment_graph(without=None if stored is None else stored.pk, kind=kind.name)
    problems = [str(problem) for problem in find_problems(key, raw, graph, kind.name)]
    definition = None
    if not problems:
        typed = request.POST.get("key", "")
        definition = unsaved_segment(
            key,
            raw,
            kind=kind.name,
            is_active=is_active,
            bucket_key=key or typed,
            salt=request.POST.get("salt"),
        )
    return AskedRules(
        kind=kind,
        is_new=stored is None,
        remarks=remarks,
        problems=problems,
        definition=definition,
    )


def may_preview(request: HttpRequest) -> None:
    """Raises PermissionDenied for those who may not view, change or add segments."""
    verbs = ("view", "change", "add")
    if not any(request.user.has_perm(f"featureflags.{verb}_segment") for verb in verbs):
        raise PermissionDenied


def _asked(request: HttpRequest, stored: Segment | None) -> tuple[object, bool]:
    """The rules to preview and whether the segment is active. Raises NotYetJSON."""
    text = request.POST.get("rules")
    if text is None and stored is not None:
        return stored.rules, stored.is_active
    return sent_rules(text), bool(request.POST.get("is_active"))


def sent_rules(text: str | None) -> object:
    """Raises NotYetJSON."""
    try:
        return read_json(text or "[]")
    except (ValueError, RecursionError) as error:
        raise NotYetJSON from error


def sent_draft(request: HttpRequest) -> Segment:
    """The form as a segment that is not saved, with the id of the stored one and its rules in stored form.

    Raises NotYetJSON.
    """
    key = request.POST.get("segment", NEW)
    stored = Segment.objects.filter(key=key).first()
    rules, is_active = _asked(request, stored)
    kind = kind_or_user(request.GET.get("kind", USER_KIND) if stored is None else stored.kind)
    return Segment(
        pk=None if stored is None else stored.pk,
        key=NEW if stored is None else key,
        kind=kind.name,
        name=request.POST.get("name", "") or key,
        is_active=is_active,
        rules=in_stored_form(rules, kind.name)[0],
        salt=request.POST.get("salt", "" if stored is None else stored.salt),
    )


def _unfinished(request: HttpRequest, problems: list[str]) -> HttpResponse:
    return render(request, TEMPLATE, {"problems": problems})


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
            email=user.title if user.name else "",
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
