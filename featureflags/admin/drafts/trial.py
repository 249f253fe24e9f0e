"""One person tested against a draft of a segment: whether they would be in it, and why.

The fragment is asked for by the editor's preview; the page of a draft holds the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from featureflags.admin.rule_editor.preview import (
    NotYetJSON,
    asked_member,
    may_preview,
    sent_draft,
)
from featureflags.admin.shared.pages import heading_of, model_of, require
from featureflags.admin.shared.people import MOST_CANDIDATES, not_found, people_named, too_many
from featureflags.admin.why.segment import segment_sections
from featureflags.audience import unsaved_segment, with_segments
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.registry import kind_or_user
from featureflags.models import Segment, problems_now
from featureflags.models.validation import check_rules
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.explain import explain

TEMPLATE: Final = "admin/featureflags/segments/_tried.html"
NEW_SEGMENT: Final = gettext_lazy("the new segment")


@require_POST
def try_person(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """A fragment about `who` and the rules that were sent, as the preview takes them. 200 for any rules."""
    del site
    may_preview(request)
    try:
        sent = sent_draft(request)
    except NotYetJSON:
        return render(request, TEMPLATE, {"said": _("This is not JSON yet.")})
    kind = kind_or_user(sent.kind)
    require(request, model_of(kind))
    problems = problems_now(sent.key, check_rules(sent.rules, kind.name), without=sent.pk)
    if problems:
        return render(request, TEMPLATE, {"said": _("Not finished yet: %s") % problems[0]})
    definition = unsaved_segment(
        sent.key,
        sent.rules,
        kind=sent.kind,
        is_active=sent.is_active,
        bucket_key=sent.key or request.POST.get("key", ""),
        salt=sent.salt,
        members=asked_member(request, sent if sent.key else None)[0],
    )
    if not sent.key:
        sent.key = str(NEW_SEGMENT)
    return render(request, TEMPLATE, tried(sent, definition, request.POST.get("who", "")))


def tried(segment: Segment, draft: SegmentDefinition, who: str) -> dict[str, Any]:
    """What the fragment shows of the rows that `who` names.

    `segment`: the draft as a row that is not saved, with the id of the stored one; `draft`: the same for the
    engine, with the stored members. The caller has checked that the reader may see rows of the kind.
    """
    kind = kind_or_user(segment.kind)
    found = people_named(kind, who)
    if len(found) != 1:
        return {
            "said": too_many(len(found)) if found else not_found([kind]),
            "candidates": [heading_of(row, kind) for row in found[:MOST_CANDIDATES]],
        }
    stored = known_ruleset().ruleset
    now = now_in_microseconds()
    named = replace(draft, key=segment.key)
    attributes = attributes_of(kind.snapshot_of(found[0]), now)
    explanation = explain(with_segments(stored, named), segment.key, attributes, now=now)
    first, *others = segment_sections(
        [explanation], found[0], asked=[segment.key], kind=kind, draft=segment
    )
    is_new = segment.key not in stored.definitions
    was_in = not is_new and stored.matches(segment.key, attributes, now=now)
    return {
        "person": heading_of(found[0], kind),
        "section": first,
        "others": others,
        "moves": _moves(was_in, explanation.verdict, is_new=is_new),
    }


def _moves(was_in: bool, is_in: bool, *, is_new: bool) -> str:
    if is_new:
        return ""
    if was_in == is_in:
        return _("As it is saved: the same.")
    return (
        _("As it is saved, they are not in it: they would enter.")
        if is_in
        else _("As it is saved, they are in it: they would leave.")
    )
