"""The live preview of a segment's rules: who would be in it, who would enter, who would leave.

Nothing is written, and no events are sent. Hidden SQL: see
`featureflags.audience.impact`, and one query for the graph of segments.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from featureflags.admin.members.panel import member_form, member_in
from featureflags.admin.rule_editor.impact_words import impact_in_words
from featureflags.admin.shared.json_forms import read_json
from featureflags.audience import lint_segment, preview_of, unsaved_segment
from featureflags.core.monitoring import report
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER as USER_KIND
from featureflags.kinds.registry import kind_or_user
from featureflags.models import Segment, problems_now
from featureflags.models.changesets import MemberState
from featureflags.models.stored_forms import in_stored_form
from featureflags.models.validation import check_rules
from featureflags.segments.definitions import Problem, SegmentDefinition

logger = logging.getLogger(__name__)

TEMPLATE = "admin/featureflags/rule_editor/impact.html"
LINT_TEMPLATE = "admin/featureflags/rule_editor/lint.html"
NEW = ""
"""The key of a new segment: no stored segment can have it."""


class NotYetJSON(ValueError):
    """The text that was sent is not JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRules:
    """What an editor holds."""

    kind: CompiledKind
    is_new: bool
    remarks: list[Problem | str]
    """On values that would be changed to be saved, and on a member by name who is not complete."""
    problems: list[str]
    definition: SegmentDefinition | None
    """None: the rules have problems."""


@require_POST
def preview(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """A fragment of a page about the rules that were sent. It answers 200 for any rules.

    POST: `segment` (the key of the one that is changed; empty: a new one, whose `key` is typed),
    `rules` (JSON text), `salt`, `is_active` and the member by name that is typed beside them; what is not sent is
    as it is stored. With `quick` the numbers of a
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
    checked, pk = check_rules(raw, kind.name), None if stored is None else stored.pk
    problems = [str(problem) for problem in problems_now(key, checked, without=pk)]
    definition = None
    member, not_counted = asked_member(request, stored)
    if not problems:
        typed = request.POST.get("key", "")
        definition = unsaved_segment(
            key,
            raw,
            kind=kind.name,
            is_active=is_active,
            bucket_key=key or typed,
            salt=request.POST.get("salt"),
            members=member,
        )
    return AskedRules(
        kind=kind,
        is_new=stored is None,
        remarks=[*not_counted, *remarks],
        problems=problems,
        definition=definition,
    )


def asked_member(
    request: HttpRequest, stored: Segment | None
) -> tuple[dict[str, MemberState], list[str]]:
    """The member by name that is typed into the form, and a remark where it cannot be counted yet."""
    form = member_form(request, stored)
    member = member_in(form)
    if form is None or not form.is_bound or member:
        return member, []
    return {}, [
        _("The one under “Included and excluded by name” is not complete, and not counted.")
    ]


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
