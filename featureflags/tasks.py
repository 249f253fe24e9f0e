"""The tasks of this app. `featureflags.core.timetable` says when they run."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches

from featureflags.audience import stored_sizes
from featureflags.cache.backends.file import SharedFileCache
from featureflags.core.conf import app_settings
from featureflags.core.publishing import has_broker, publish, shared_task
from featureflags.editing import forget_deleted_rows, make_due
from featureflags.inspection import variation_counts
from featureflags.launchdarkly.client import feature_store
from featureflags.launchdarkly.rest.client import management_client
from featureflags.launchdarkly.rest.retries import WHILE_SOMEBODY_WAITS
from featureflags.launchdarkly.segment_sync.apply import (
    Choices,
    Status,
    SyncFailed,
    apply,
    make_plan,
    sync_one,
    wanted_segments,
)
from featureflags.launchdarkly.status import connection_status
from featureflags.models import AnsweredWrite, SegmentDraft
from featureflags.probes import problems
from featureflags.warming.leases import claim, to_send
from featureflags.warming.progress import report
from featureflags.warming.runs import begin, for_workers, give_up_stalled, settle
from featureflags.warming.scope import scope_for
from featureflags.warming.worker import WarmingFailed, warm, work
from featureflags.webhooks import mail, observing, queue

logger = logging.getLogger(__name__)

NAMED: Final = 20
"""Segments that a line of the log names."""


@shared_task
def warm_contexts(
    days: float | None = None, *, everyone: bool = False, force: bool = False
) -> dict[str, Any]:
    """Warm the users seen within `days` (None: WARM_ACTIVE_DAYS), or everyone; how far it is.

    On demand: `warm_contexts.delay(days=30)`. With a broker it only begins, or joins, a run, whose
    ranges are separate tasks. Without one it does them all, and raises WarmingFailed if some were
    not done. Raises AnotherRun while a run with another scope is under way.
    """
    scope = scope_for(days, everyone=everyone, force=force)
    if has_broker():
        begun = begin(scope, by_workers=True)
        send_due(begun.run)
        return report(begun.run).to_dict()
    ended = warm(scope)
    if not ended.succeeded:
        raise WarmingFailed(str(ended))
    logger.info("Contexts warmed: %s", ended)
    return ended.to_dict()


@shared_task(acks_late=True, reject_on_worker_lost=True)
def warm_range(run: int, number: int) -> None:
    """Warm one range of a run, if it is still due, and queue the next ones.

    A message may come twice, or an hour late from a worker that was killed: the claim decides.
    """
    claimed = claim(run, number)
    if claimed is not None:
        send_due(run)
        work(claimed)
    if not settle(run):
        send_due(run)


@shared_task
def tend_warm_runs() -> int:
    """Continue runs whose workers were killed, and end runs without progress.

    Returns how many ranges were sent. Without a broker the next warm-up takes such a run over.
    """
    give_up_stalled()
    return sum(send_due(run) for run in for_workers() if not settle(run)) if has_broker() else 0


def send_due(run: int) -> int:
    """Put the ranges that are due into the queue; how many. Raises OperationalError of kombu."""
    numbers = to_send(run)
    for number in numbers:
        warm_range.delay(run, number)
    return len(numbers)


@shared_task
def delete_answered_writes() -> int:
    """Delete the answers to writes with an `Idempotency-Key` after a day; how many."""
    return AnsweredWrite.objects.delete_old()


@shared_task
def delete_ended_drafts() -> int:
    """Delete the drafts of segments that have ended; how many."""
    return SegmentDraft.objects.delete_ended()


@shared_task
def sweep_file_caches() -> int:
    """Remove expired files of every cache that keeps files; how many."""
    found = [caches[alias] for alias in settings.CACHES]
    removed = sum(cache.sweep() for cache in found if isinstance(cache, SharedFileCache))
    logger.info("Expired cache files removed: %d", removed)
    return removed


@shared_task
def count_segments() -> dict[str, Any]:
    """Count all users and the members of all segments, and store the numbers for the pages.

    Before that, forget the members of other kinds than `user` whose rows are deleted.
    """
    forgotten = forget_deleted_rows()
    if forgotten:
        logger.info("Members whose rows are deleted, removed: %d", forgotten)
    counted = stored_sizes.count_everything()
    logger.info("Segments counted: %d", len(counted.segments))
    return counted.to_dict()


@shared_task(bind=True)
def count_changed_segments(self: Any) -> dict[str, Any]:
    """Count the segments that have changed since they were counted.

    Without a broker the request that saves a segment waits for this, so it stops after
    `impact_seconds`; `count_segments` counts the rest later.
    """
    seconds = app_settings().impact_seconds if self.request.is_eager else None
    counted = stored_sizes.count_changed(seconds)
    if counted.late:
        some = ", ".join(counted.late[:NAMED])
        logger.info("No time to count %d segments: %s", len(counted.late), some)
    return counted.to_dict()


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def count_flag(self: Any, pk: int) -> None:
    """Continue a count of the users for each value of a flag; see `inspection.variation_counts`.

    Without a broker the request waits for this, so it stops after a while; the page continues it.
    """
    seconds = variation_counts.SECONDS_WAITED if self.request.is_eager else None
    variation_counts.work(pk, seconds=seconds)


@shared_task
def tend_flag_counts() -> int:
    """Continue counts whose workers were killed; returns how many."""
    found = variation_counts.abandoned()
    for pk in found:
        publish(count_flag, pk)
    return len(found)


@shared_task
def observe() -> int:
    """Announce to webhooks what changed in LaunchDarkly, and what fails in this process; how many."""
    status = connection_status(start=True)
    failing = {part: problem for part, problem in problems(status).items() if problem is not None}
    return observing.observe(
        flags=feature_store().raw() if status.has_flags else None, problems=failing
    )


@shared_task(acks_late=True, reject_on_worker_lost=True)
def make_planned_changes() -> dict[str, int]:
    """Make the planned changes that are due. Several at once do not make one twice."""
    return make_due().to_dict()


@shared_task(acks_late=True, reject_on_worker_lost=True)
def send_webhooks() -> dict[str, int]:
    """Send the deliveries of webhooks that are due. Several at once do not send one twice."""
    return queue.send_due().to_dict()


@shared_task(acks_late=True, reject_on_worker_lost=True)
def send_mail_notices() -> dict[str, int]:
    """Send the e-mails of planned changes that are due. Several at once do not send one twice."""
    return mail.send_due().to_dict()


@shared_task
def sync_all_segments() -> list[str]:
    """Create, finish and rename LaunchDarkly's segments that lag behind ours; what was done.

    For what `sync_segment` could not do: the broker was down, LaunchDarkly failed, or a row was
    written without the ORM. Repairs and deletes nothing: that needs `manage.py sync_segments`.
    Does nothing while `sync_segments` is off. Raises a ManagementError if LaunchDarkly fails.
    """
    choices = Choices(tag=app_settings().sync_tag)
    if not app_settings().sync_segments:
        return []
    with management_client() as client:
        steps = make_plan(client, wanted_segments(), tag=choices.tag)
        done = [each for each in apply(client, steps, choices) if each.status is Status.DONE]
    return [f"{outcome.step.key}: {outcome.step.kind}" for outcome in done]


@shared_task(bind=True)
def sync_segment(self: Any, key: str) -> list[str]:
    """Bring one segment of LaunchDarkly into step with the active segment here; what was done.

    What a person must decide is logged and not changed. Raises SyncFailed or a ManagementError if a
    call failed: the next run, or `sync_segments`, finishes the rest. Without a broker
    the request that saves the segment waits for this, so it gives up early.
    """
    policy = WHILE_SOMEBODY_WAITS if self.request.is_eager else None
    with management_client(policy=policy) as client:
        outcomes = sync_one(client, key, Choices(tag=app_settings().sync_tag))
    for outcome in outcomes:
        if outcome.status is Status.LEFT:
            logger.warning("Segment %s in LaunchDarkly: %s.", key, outcome.step.sentence)
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    if failed:
        raise SyncFailed(f"{key}: {failed[0].error}")
    return [str(outcome.step.kind) for outcome in outcomes if outcome.status is Status.DONE]
