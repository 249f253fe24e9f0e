"""One row as LaunchDarkly sees it: context, segments, flags, and what changes by itself.

The page sends no events. Hidden SQL: the row with all that its snapshot needs, one query for the names of
all segments of its kind, and one for the title of each row that belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from featureflags.admin.segments.used_by_flags import flag_address
from featureflags.admin.shared.pages import (
    SEGMENT,
    change_row_link,
    heading_of,
    kind_or_404,
    kinds_seen,
    may_see,
    model_of,
    require,
    respond,
    row_or_404,
    rows_link,
    why_flag_page,
    why_segment_page,
)
from featureflags.admin.users.context_attributes import attribute_label, context_shown
from featureflags.audience import Transition, next_transitions
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.attributes import attributes_of
from featureflags.contexts.building import row_context
from featureflags.contexts.results import ContextSource, Evaluation
from featureflags.contexts.subject_context import SubjectContext, joined
from featureflags.core.times import now_in_microseconds
from featureflags.editing import moment_in_words, planned_moves
from featureflags.evaluation import all_flags, looking
from featureflags.evaluation.evaluate import evaluate_all
from featureflags.evaluation.reasons import degradation_in_words, reason_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from featureflags.inspection.deciding_rule import decision
from featureflags.inspection.flag_parsing import Raw
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.snapshot import USER
from featureflags.launchdarkly.client import feature_store
from featureflags.models import Segment
from featureflags.segments.formatting import show

CHANGES_TOLD = 3
MOST_SEGMENTS = 200
"""That a list holds; the search finds the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One segment. `why` is empty if the reader may not see segments."""

    key: str
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentList:
    """The first segments, and how many there are."""

    rows: tuple[SegmentRow, ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRow:
    """One flag, its value as JSON, and everything else in words."""

    key: str
    description: str
    value: str
    reason: str
    rule: str
    """The conditions of the rule that decided, in words; empty if none did."""
    degraded: tuple[str, ...]
    page: str
    """To the flag's page; empty if the reader may not see segments."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """What changes at one moment, if nobody writes before."""

    instant: int
    """µs since the epoch."""
    at: str
    causes: tuple[str, ...]
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    flags: tuple[str, ...]
    proposal: int | None = None
    """The scheduled change of a segment that does it; None: it happens by itself."""


def context_page(
    request: HttpRequest, key: str, kind: str = USER, *, site: AdminSite
) -> HttpResponse:
    """The page of a user, or of the row of another kind. Segments and flags can be searched by `q`."""
    of = kind_or_404(kind)
    require(request, model_of(of))
    row = row_or_404(of, key)
    wanted = request.GET.get("q", "").strip()
    with looking(), unit_of_work():
        found = resolve(row)
        flags = all_flags(row)
        raw = feature_store().raw()
        changes = _changes(of, row, flags, found.parts[1:])
        changes += _planned_changes(of, row, found.parts[1:])
    page = _Page(
        kind=of,
        key=of.key_of(row),
        wanted=wanted.lower(),
        may_explain=may_see(request, SEGMENT),
    )
    inside, outside = page.segments(found.segments)
    person = heading_of(row, of)
    return respond(
        request,
        site,
        "admin/featureflags/users/context_page.html",
        title=_("Segments and flags of %s") % person.name,
        trail=[rows_link(of), change_row_link(of, row)],
        person=person,
        is_user=kind == USER,
        query=wanted,
        inside=inside,
        outside=outside,
        flags=page.flags(flags, raw["flags"], found.all_segments),
        changes=sorted(changes, key=lambda each: each.instant),
        sees_segments=page.may_explain,
        **context_shown(found, raw, kinds_seen(request)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The row of the page, and the search text in lower case."""

    kind: CompiledKind
    key: str
    wanted: str
    may_explain: bool

    def segments(self, within: tuple[str, ...]) -> tuple[SegmentList, SegmentList]:
        """The segments that the row is in, and all others of its kind, by key."""
        named = Segment.objects.filter(kind=self.kind.name).order_by("key")
        wanted = [row for row in named.values_list("key", "name") if self._is_wanted(*row)]
        inside = frozenset(within)
        return (
            self._list([row for row in wanted if row[0] in inside]),
            self._list([row for row in wanted if row[0] not in inside]),
        )

    def _list(self, named: Sequence[tuple[str, str]]) -> SegmentList:
        rows = (
            SegmentRow(key=key, name=name, why=self._why_segment(key))
            for key, name in named[:MOST_SEGMENTS]
        )
        return SegmentList(rows=tuple(rows), total=len(named))

    def flags(
        self,
        evaluations: Mapping[str, Evaluation],
        raw: Mapping[str, Raw],
        segments: tuple[str, ...],
    ) -> list[FlagRow]:
        """Every flag, by key."""
        rows = (self._flag(each, raw, segments) for each in evaluations.values())
        return [row for row in rows if self._is_wanted(row.key, row.description)]

    def _flag(
        self, evaluation: Evaluation, raw: Mapping[str, Raw], segments: tuple[str, ...]
    ) -> FlagRow:
        declared = declared_flags().get(evaluation.flag)
        flag = raw.get(evaluation.flag, {})
        decided = decision(evaluation.flag, flag, evaluation.reason, segments)
        return FlagRow(
            key=evaluation.flag,
            description=declared.description if declared else _("Not declared in this project."),
            value=show(evaluation.value),
            reason=reason_in_words(evaluation),
            rule="" if decided is None else decided.words,
            degraded=tuple(degradation_in_words(reason) for reason in evaluation.degraded),
            page=flag_address(evaluation.flag) if self.may_explain else "",
            why=self._why_flag(evaluation.flag),
        )

    def _is_wanted(self, *texts: str) -> bool:
        return not self.wanted or any(self.wanted in text.lower() for text in texts)

    def _why_segment(self, segment: str) -> str:
        return why_segment_page(segment, self.key) if self.may_explain else ""

    def _why_flag(self, flag: str) -> str:
        return why_flag_page(self.kind, flag, self.key) if self.may_explain else ""


def _changes(
    kind: CompiledKind,
    row: Any,
    flags: Mapping[str, Evaluation],
    others: Sequence[SubjectContext],
) -> list[ChangeRow]:
    """What changes by itself, with the flags that the SDK serves for the context of that moment.

    `others`: the contexts of the rows that belong to this one, as they are now.
    """
    now = now_in_microseconds()
    ruleset = current_ruleset().ruleset
    snapshot = kind.snapshot_of(row)
    rows, before = [], flags
    for change in next_transitions(ruleset, snapshot, now=now, most=CHANGES_TOLD):
        context = row_context(snapshot, ruleset, change.at, source=ContextSource.LOADED)
        after = evaluate_all(joined([context, *others]), None)
        rows.append(
            ChangeRow(
                instant=change.at,
                at=moment_in_words(change.at),
                causes=tuple(_causes(change, snapshot, kind.name)),
                entering=change.entering,
                leaving=change.leaving,
                flags=tuple(_differences(before, after)),
            )
        )
        before = after
    return rows


def _planned_changes(
    kind: CompiledKind, row: Any, others: Sequence[SubjectContext]
) -> list[ChangeRow]:
    """What scheduled changes of segments will do to the row, with the flags of that moment."""
    ruleset = current_ruleset().ruleset
    snapshot = kind.snapshot_of(row)
    rows = []
    for move in planned_moves(ruleset, snapshot, now=now_in_microseconds()):
        before, after = (
            evaluate_all(
                joined(
                    [row_context(snapshot, rules, move.at, source=ContextSource.LOADED), *others]
                ),
                None,
            )
            for rules in (ruleset, move.ruleset)
        )
        shown = {"number": move.plan, "segment": move.segment}
        rows.append(
            ChangeRow(
                instant=move.at,
                at=moment_in_words(move.at),
                causes=(_("the scheduled change %(number)d of %(segment)s is made") % shown,),
                entering=move.entering,
                leaving=move.leaving,
                flags=tuple(_differences(before, after)),
                proposal=move.plan,
            )
        )
    return rows


def _causes(change: Transition, snapshot: Any, kind: str) -> Iterator[str]:
    attributes = attributes_of(snapshot, change.at)
    for name in change.attributes:
        value = show(attributes.get(name))
        yield _("%(attribute)s becomes %(value)s") % {
            "attribute": attribute_label(name, kind) or name,
            "value": value,
        }
    for key in change.memberships:
        yield _("the membership by name of %s ends") % key
    for key in change.beginning:
        yield _("the membership by name of %s begins") % key


def _differences(
    before: Mapping[str, Evaluation], after: Mapping[str, Evaluation]
) -> Iterator[str]:
    for key, evaluation in after.items():
        old = before.get(key)
        # JSON values: true is not 1.
        if old is not None and show(old.value) != show(evaluation.value):
            yield f"{key}: {show(old.value)} → {show(evaluation.value)}"
