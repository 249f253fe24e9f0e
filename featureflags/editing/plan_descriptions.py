"""Planned changes in words, for the pages and the API.

Hidden SQL: for each plan one query where members may be named by title, and one for its comments.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet

from featureflags.editing.change_sentences import change_in_words, moved_in_words
from featureflags.editing.condition_sentences import moment_in_words
from featureflags.editing.history.entries import source_in_words, who_in_words
from featureflags.editing.plans import numbers_of, wanted_by
from featureflags.kinds.registry import USER
from featureflags.models import PlannedChange
from featureflags.models.changesets import Moved
from featureflags.models.planned_changes import OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedComment:
    """What somebody wrote."""

    at: datetime.datetime
    who: str
    text: str

    @property
    def when(self) -> str:
        return moment_in_words(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedPlan:
    """One planned change."""

    id: int
    segment_key: str
    kind: str
    """`created`, `changed` or `deleted`."""
    state: str
    state_in_words: str
    at: datetime.datetime
    who: str
    source: str
    note: str
    due_at: datetime.datetime | None
    needs_approval: bool
    moved: Moved
    lines: tuple[str, ...]
    """What differs from the segment as it was when this was planned."""
    approver: str
    """Empty: nobody has approved it."""
    decided_at: datetime.datetime | None
    problem: str
    entry: int | None
    """The id of the history entry that it made."""
    comments: tuple[DescribedComment, ...]

    @property
    def when(self) -> str:
        return moment_in_words(self.at)

    @property
    def due(self) -> str:
        return "" if self.due_at is None else moment_in_words(self.due_at)

    @property
    def decided(self) -> str:
        return "" if self.decided_at is None else moment_in_words(self.decided_at)

    @property
    def numbers(self) -> str:
        return moved_in_words(self.moved)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


def plans(state: str = "") -> QuerySet[PlannedChange]:
    """All planned changes, or those in one state, the newest first; `open`: those still to be made."""
    found = PlannedChange.objects.select_related("author", "approver").order_by("-pk")
    if not state:
        return found
    return found.filter(state__in=OPEN) if state == "open" else found.filter(state=state)


def waiting_for(key: str) -> QuerySet[PlannedChange]:
    """What is still to be made of this segment, the first due first."""
    return plans("open").filter(segment_key=key).order_by("due_at", "pk")


def describe_plan(
    plan: PlannedChange, *, sees: Collection[str], with_comments: bool = True
) -> DescribedPlan:
    """`sees`: kinds whose rows the reader may see by title; others are keys."""
    change, with_addresses = wanted_by(plan), USER in sees
    comments = plan.comments.select_related("author") if with_comments else ()
    approver = plan.approver
    return DescribedPlan(
        id=plan.pk,
        segment_key=plan.segment_key,
        kind=change.kind,
        state=plan.state,
        state_in_words=plan.get_state_display(),
        at=plan.created_at,
        who=who_in_words(plan.author, with_addresses=with_addresses),
        source=source_in_words(plan.source),
        note=plan.note,
        due_at=plan.due_at,
        needs_approval=plan.needs_approval,
        moved=numbers_of(plan),
        lines=tuple(change_in_words(change, with_addresses=change.state.kind in sees)),
        approver="" if approver is None else who_in_words(approver, with_addresses=with_addresses),
        decided_at=plan.decided_at,
        problem=plan.problem,
        entry=plan.entry_id,
        comments=tuple(
            DescribedComment(
                at=each.at,
                who=who_in_words(each.author, with_addresses=with_addresses),
                text=each.text,
            )
            for each in comments
        ),
    )
