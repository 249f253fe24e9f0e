"""Asks LaunchDarkly and the database, and carries out a plan, step by step.

Every step is independent, so the next run finishes one that ended half-way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from featureflags.core.uncached import fresh_rows
from featureflags.launchdarkly.rest.client import ManagementClient
from featureflags.launchdarkly.rest.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    ManagementError,
    NotFoundError,
)
from featureflags.launchdarkly.rest.models import NewSegment, RemoteSegment
from featureflags.launchdarkly.segment_sync.plan import (
    CHANGES,
    Kind,
    Step,
    WantedSegment,
    creation,
    is_ours,
    plan,
    steps_for,
)
from featureflags.models import Segment

COMMENT = "Kept in step with the application's segments"
"""Shown in LaunchDarkly's audit log."""

OF_ONE_SEGMENT = (ForbiddenError, NotFoundError, ConflictError, InvalidRequestError)
"""Failures that say nothing about the other segments. After any other the run ends: a server
that fails or limits us is not helped by more calls."""


class SyncFailed(Exception):
    """A segment could not be brought into step. The message says why."""


class Status(StrEnum):
    """What became of a step."""

    DONE = "done"
    LEFT = "left"
    """It needs a person, or an option that was not given."""
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    step: Step
    status: Status
    error: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a run may do beyond creating, finishing and renaming."""

    tag: str
    repair: bool = False
    delete_unused: bool = False


def wanted_segments(keys: Collection[str] | None = None) -> list[WantedSegment]:
    """The active segments, or those of them with these keys: one query, never from cachalot."""
    rows = Segment.objects.filter(is_active=True).order_by("key")
    if keys is not None:
        rows = rows.filter(key__in=keys)
    with fresh_rows():
        return [
            WantedSegment(key=key, name=name, description=description, kind=kind)
            for key, name, description, kind in rows.values_list(
                "key", "name", "description", "kind"
            )
        ]


def make_plan(
    client: ManagementClient, wanted: Collection[WantedSegment], *, tag: str
) -> list[Step]:
    """Read all segments of the environment and compare. Changes nothing.

    A list may show less than a segment has, so a segment that does not look right in it is read
    again by itself. Raises a ManagementError.
    """
    by_key = {segment.key: segment for segment in wanted}
    relevant = [each for each in client.segments() if each.key in by_key or is_ours(each, tag)]
    remote = [_with_details(client, each, by_key.get(each.key), tag=tag) for each in relevant]
    return plan(wanted, [each for each in remote if each is not None], tag=tag)


def _with_details(
    client: ManagementClient, summary: RemoteSegment, wanted: WantedSegment | None, *, tag: str
) -> RemoteSegment | None:
    """The summary if it says all; None if the segment is gone by now."""
    if wanted is not None:
        kinds = {step.kind for step in steps_for(wanted, summary, tag=tag)}
        if kinds <= {Kind.CURRENT, Kind.CONFLICT}:
            return summary
    try:
        return client.segment(summary.key)
    except NotFoundError:
        return None


def sync_one(client: ManagementClient, key: str, choices: Choices) -> list[StepResult]:
    """Bring one segment into step, if it is active. Raises a ManagementError if it cannot ask."""
    found = wanted_segments([key])
    if not found:
        return []
    (wanted,) = found
    try:
        remote = client.segment(key)
    except NotFoundError:
        steps = [creation(wanted)]
    else:
        steps = steps_for(wanted, remote, tag=choices.tag)
    return list(apply(client, steps, choices))


def apply(
    client: ManagementClient, steps: Iterable[Step], choices: Choices
) -> Iterator[StepResult]:
    """Carry out the steps and say how each went. Raises nothing of LaunchDarkly's."""
    stopped = False
    for step in steps:
        if step.kind is Kind.CURRENT:
            continue
        if not _is_chosen(step, choices):
            yield StepResult(step=step, status=Status.LEFT)
        elif stopped:
            yield StepResult(step=step, status=Status.NOT_TRIED)
        else:
            try:
                _carry_out(client, step, choices)
            except ManagementError as error:
                stopped = not isinstance(error, OF_ONE_SEGMENT)
                yield StepResult(step=step, status=Status.FAILED, error=str(error))
            else:
                yield StepResult(step=step, status=Status.DONE)


def _is_chosen(step: Step, choices: Choices) -> bool:
    if step.kind is Kind.DRIFT:
        return choices.repair and bool(step.instructions)
    if step.kind is Kind.UNUSED:
        return choices.delete_unused and not step.used_by
    return step.kind in CHANGES


def _carry_out(client: ManagementClient, step: Step, choices: Choices) -> None:
    if step.kind is Kind.CREATE and step.wanted is not None:
        _create(client, step.wanted, choices)
    elif step.kind is Kind.UNUSED:
        _delete(client, step.key)
    else:
        client.patch_segment(step.key, step.instructions, comment=COMMENT)


def _create(client: ManagementClient, wanted: WantedSegment, choices: Choices) -> None:
    """Two calls: LaunchDarkly creates a segment without rules."""
    new = NewSegment(
        key=wanted.key, name=wanted.name, description=wanted.description, tags=(choices.tag,)
    )
    try:
        remote = client.create_segment(new)
    except ConflictError:
        # Somebody was faster since we looked: another run of this, or a person.
        remote = client.segment(wanted.key)
    for step in steps_for(wanted, remote, tag=choices.tag):
        if step.kind in CHANGES:
            client.patch_segment(step.key, step.instructions, comment=COMMENT)
        elif step.kind is not Kind.CURRENT:
            raise ConflictError(f"It was created meanwhile: {step.sentence}.")


def _delete(client: ManagementClient, key: str) -> None:
    try:
        client.delete_segment(key)
    except NotFoundError:
        # It is gone, which is what was wanted: a first try may have got no answer.
        return
