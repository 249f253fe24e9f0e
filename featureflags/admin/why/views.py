"""“Why?” for a row and a segment, or a row and a flag. These pages send no events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from featureflags.admin.flags.list import flag_link
from featureflags.admin.shared.pages import (
    MEMBER,
    SEGMENT,
    Link,
    heading_of,
    kind_or_404,
    kinds_seen,
    may,
    model_of,
    require,
    respond,
    row_link,
    row_or_404,
    rows_link,
    segments_link,
)
from featureflags.admin.why.flag import (
    launchdarkly_sections,
    prerequisite_rows,
    reason_sentences,
    rule_rows,
)
from featureflags.admin.why.form import WhyForm
from featureflags.admin.why.rows import Candidate, Section, Step
from featureflags.admin.why.segment import next_step, segment_sections
from featureflags.audience import next_transitions
from featureflags.cache.compiled_rules import LoadedRuleset, known_ruleset
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.attributes import attributes_of
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.times import now_in_microseconds
from featureflags.editing import moment_in_words
from featureflags.evaluation import Evaluation, all_flags, looking, variation_detail
from featureflags.evaluation.reasons import degradation_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from featureflags.inspection.flag_explanation import FlagExplanation, explain_flag
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER as USER_KIND
from featureflags.kinds.registry import kind_or_user, user_kind
from featureflags.launchdarkly.client import feature_store
from featureflags.models import Segment
from featureflags.segments.explain import explain
from featureflags.segments.formatting import show

MOST_SECTIONS = 20
"""Segments that a flag's page explains; it links to the others."""


def why_segment(request: HttpRequest, segment: str, key: str, *, site: AdminSite) -> HttpResponse:
    """Why a user, or the row of another kind, is in a segment, or not."""
    require(request, SEGMENT)
    loaded = known_ruleset()
    ruleset = loaded.ruleset
    found = ruleset.definitions.get(segment)
    kind = user_kind() if found is None else kind_or_user(found.kind)
    require(request, model_of(kind))
    user = row_or_404(kind, key)
    if found is None:
        raise Http404(_("There is no segment with this key."))
    now = now_in_microseconds()
    snapshot = kind.snapshot_of(user)
    explanation = explain(ruleset, segment, attributes_of(snapshot, now), now=now)
    ahead = next_transitions(ruleset, snapshot, now=now, segment_keys=[segment])
    first, *others = segment_sections([explanation], user, asked=[segment], kind=kind)
    title = (
        _("Why is %(user)s in %(segment)s?")
        if explanation.verdict
        else _("Why is %(user)s not in %(segment)s?")
    )
    return respond(
        request,
        site,
        "admin/featureflags/why/segment.html",
        title=title % {"user": heading_of(user, kind).name, "segment": segment},
        trail=[segments_link(), *(Link(text=segment, href=link.href) for link in first.links)],
        section=first,
        others=others,
        step=_next_step(request, segment, user, kind, is_in=bool(explanation.verdict)),
        person=heading_of(user, kind),
        person_link=row_link(kind, user),
        is_user=kind.name == USER_KIND,
        changes_at=moment_in_words(ahead[0].at) if ahead else "",
        degraded=_degraded(loaded),
    )


def _next_step(
    request: HttpRequest, key: str, row: Any, kind: CompiledKind, *, is_in: bool
) -> Step | None:
    """For those who may add members. Hidden SQL: the segment."""
    stored = Segment.objects.filter(key=key).first()
    if stored is None or not may(request, MEMBER, "add", "change"):
        return None
    return next_step(stored, row, kind, is_in=is_in)


def _degraded(loaded: LoadedRuleset) -> list[str]:
    return [] if loaded.degraded is None else [degradation_in_words(loaded.degraded)]


def why_flag(
    request: HttpRequest, flag: str, key: str, kind: str = USER_KIND, *, site: AdminSite
) -> HttpResponse:
    """Why a row gets a flag's value, with the segments that the flag uses."""
    of = kind_or_404(kind)
    require(request, SEGMENT, model_of(of))
    row, seen = row_or_404(of, key), kinds_seen(request)
    with looking(), unit_of_work():
        evaluation = variation_detail(flag, row)
        found = resolve(row)
        data = feature_store().raw()
        context, segments = found.context.to_dict(), found.all_segments
        explanation = explain_flag(flag, data, context, evaluation.reason, segments, seen=seen)
        others = all_flags(row) if explanation is not None and explanation.prerequisites else {}
    if explanation is None and flag not in declared_flags():
        raise Http404(_("There is no flag with this key."))
    return respond(
        request,
        site,
        "admin/featureflags/why/flag.html",
        title=_("Why is %(flag)s %(value)s for %(user)s?")
        % {"user": heading_of(row, of).name, "flag": flag, "value": show(evaluation.value)},
        trail=[rows_link(of), row_link(of, row)],
        flag=flag,
        flag_address=flag_link(flag).href,
        person=heading_of(row, of),
        value=show(evaluation.value),
        sentences=reason_sentences(evaluation, explanation),
        degraded=[degradation_in_words(reason) for reason in evaluation.degraded],
        **_explained(evaluation, explanation, _Asked(of, row, found, seen), others),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The row of the page with its context, and the kinds whose rows the reader may see."""

    kind: CompiledKind
    row: Any
    found: SubjectContext
    seen: Collection[str]

    def rows(self) -> dict[str, Any]:
        """The row, and those that belong to it and may be seen, by kind."""
        others = {
            part.context.kind: row
            for part in self.found.parts[1:]
            if part.context.kind in self.seen
            and (row := kind_or_user(part.context.kind).find(part.context.key)) is not None
        }
        return {self.kind.name: self.row, **others}


def _explained(
    evaluation: Evaluation,
    explanation: FlagExplanation | None,
    asked: _Asked,
    others: Mapping[str, Evaluation],
) -> dict[str, Any]:
    if explanation is None:
        return {}
    ours, person = asked.found.all_segments, heading_of(asked.row, asked.kind)
    return {
        "explanation": explanation,
        "rules": rule_rows(evaluation, explanation, ours),
        "prerequisites": prerequisite_rows(explanation, asked.kind, person.key, others),
        "sections": [
            *launchdarkly_sections(explanation, person.name, ours),
            *_django_sections(explanation, asked.rows()),
        ],
    }


def _django_sections(explanation: FlagExplanation, rows: Mapping[str, Any]) -> list[Section]:
    """A section for each segment, about the row of its kind: the user, or what belongs to them."""
    now = now_in_microseconds()
    ruleset = known_ruleset().ruleset
    definitions = ruleset.definitions
    keys = explanation.django_segments[:MOST_SECTIONS]
    sections: list[Section] = []
    for name, row in rows.items():
        kind = kind_or_user(name)
        attributes = attributes_of(kind.snapshot_of(row), now)
        explanations = [
            explain(ruleset, key, attributes, now=now)
            for key in keys
            if (USER_KIND if (it := definitions.get(key)) is None else it.kind) == name
        ]
        sections += segment_sections(explanations, row, kind=kind) if explanations else []
    return sections


def why_search(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Ask for a row by key or a part of its name or address. A POST, so that a server logs no address."""
    require(request, SEGMENT)
    seen, about = kinds_seen(request), request.GET.get("about", "")
    data = request.POST if request.method == "POST" else None
    form = WhyForm(data, initial={"about": about}, seen=seen)
    asked = form.kinds_asked()
    if not asked or any(kind.name not in seen for kind in asked):
        raise PermissionDenied
    if form.is_valid():
        return HttpResponseRedirect(form.address())
    return respond(
        request,
        site,
        "admin/featureflags/why/search.html",
        title=_("Why does somebody see this?"),
        trail=[segments_link()],
        form=form,
        is_of_users=[kind.name for kind in asked] == [USER_KIND],
        candidates=[
            Candidate(
                value=f"{of.name}:{of.key_of(row)}",
                person=heading_of(row, of),
                kind=noun(of.name, 1) if len(asked) > 1 else "",
            )
            for of, row in form.candidates
        ],
    )
