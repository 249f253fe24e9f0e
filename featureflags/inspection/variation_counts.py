"""How many users get each value of a flag, by the real SDK: over a sample, or over everybody.

It only looks: LaunchDarkly is told of nobody. A count over everybody is done in batches, in the
order of keys. Each batch is one update of the row, which adds its numbers and moves its place on:
a worker that is killed in the middle of one has changed nothing, and whoever goes on counts nobody
twice. Who counts holds the row by a lease; to cancel is to take it away.

Hidden SQL: one read and one update for each batch.
"""

from __future__ import annotations

import datetime
import json
import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.building import user_context
from featureflags.contexts.results import ContextSource, Evaluation
from featureflags.core.types import JSONValue
from featureflags.evaluation import looking
from featureflags.evaluation.arguments import UNSET
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.launchdarkly.client import feature_store, has_flags
from featureflags.models import FlagCount
from users.models import User
from users.querysets import UserQuerySet
from users.selectors import snapshots
from users.snapshots import UserSnapshot
from users.times import now_in_microseconds

logger = logging.getLogger(__name__)

BATCH: Final = 1_000
SAMPLE_WINDOWS: Final = 20
SAMPLE_WINDOW: Final = 100
"""Users of a sample follow each other by key, from so many keys that are drawn at random."""
SAMPLE: Final = SAMPLE_WINDOWS * SAMPLE_WINDOW
LEASE: Final = datetime.timedelta(seconds=60)
"""Many times what a batch takes."""
SECONDS_WAITED: Final = 10.0
"""For a page that counts by itself, since there is no worker."""
KEPT: Final = 10
"""Counts of one flag that are kept."""
Z_95: Final = 1.96
"""Standard deviations around a share within which the true one lies in 95 of 100 samples."""

MOST_ATTEMPTS: Final = 5
"""A batch that kills its worker so often has failed."""

NO_FLAGS: Final = gettext_noop("LaunchDarkly has not sent any flags.")
WORKER_DIED: Final = gettext_noop("Its worker died.")
State = FlagCount.State


class AlreadyCounting(Exception):  # noqa: N818 - it reads as what happened
    """Somebody counts this flag at the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What some users get, and why: an entry of `FlagCount.tally`."""

    variation: int | None
    """None: a default, or a forced value."""
    value: JSONValue
    reason: str
    """The kind of LaunchDarkly's reason; for an error `ERROR:KIND`."""
    rule: int | None
    """The number of the rule, from 1, as the flag was then."""
    users: int

    @property
    def what(self) -> tuple[int | None, str, str, int | None]:
        """What tells it from others. True is not 1, so the value is JSON."""
        return self.variation, json.dumps(self.value, sort_keys=True), self.reason, self.rule

    def to_json(self) -> dict[str, JSONValue]:
        return {
            "variation": self.variation,
            "value": self.value,
            "reason": self.reason,
            "rule": self.rule,
            "users": self.users,
        }


def outcomes(count: FlagCount) -> list[Outcome]:
    """What is counted so far, the most users first."""
    found = [Outcome(**raw) for raw in count.tally]
    return sorted(found, key=lambda each: -each.users)


def interval(users: int, among: int) -> tuple[float, float]:
    """Between which shares the true one lies in 95 of 100 samples: Wilson's score interval,
    https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval"""
    if not among:
        return 0.0, 1.0
    share, z = users / among, Z_95 * Z_95 / among
    middle = (share + z / 2) / (1 + z)
    distance = Z_95 / (1 + z) * math.sqrt(share * (1 - share) / among + z / among / 4)
    # At the ends the formula gives them, but for rounding.
    low = 0.0 if users == 0 else middle - distance
    return low, 1.0 if users == among else middle + distance


def count_sample(flag: str, *, by: User | None = None) -> FlagCount:
    """Count a random sample at once; everybody, where there are no more than that.

    Raises AlreadyCounting.
    """
    users, is_sample = _sample()
    count = _begun(flag, is_sample=is_sample, users=len(users), by=by)
    claimed = _claim(count.pk)
    if claimed is not None:
        _guarded(claimed, lambda: _add(claimed, users) and _finish(claimed))
    count.refresh_from_db()
    return count


def begin(flag: str, *, by: User | None = None) -> FlagCount:
    """A count over everybody, for `work` to do. Raises AlreadyCounting."""
    return _begun(flag, is_sample=False, users=User.objects.count(), by=by)


def work(pk: int, *, seconds: float | None = None) -> None:
    """Go on with a count, to its end or for so many seconds, unless somebody else is at it.

    Whatever fails ends the count and is told in its row. Raises DatabaseError: the lease ends by
    itself then, and another one may go on.
    """
    count = _claim(pk)
    if count is not None:
        ends = None if seconds is None else time.monotonic() + seconds
        _guarded(count, lambda: _work(count, ends))


def cancel(pk: int) -> bool:
    """End a count; whether it was under way. Who counts finds out after the batch at hand."""
    return _end(FlagCount.objects.filter(pk=pk), State.CANCELLED)


def abandoned() -> list[int]:
    """Counts that are under way, with nobody at them: their worker was killed, or had no time."""
    free = FlagCount.objects.filter(state=State.RUNNING).exclude(lease_until__gt=timezone.now())
    return list(free.values_list("pk", flat=True))


def is_abandoned(count: FlagCount) -> bool:
    """Whether a count is under way with nobody at it."""
    lease = count.lease_until
    return count.state == State.RUNNING and (lease is None or lease <= timezone.now())


def _work(count: FlagCount, ends: float | None) -> None:
    everybody: UserQuerySet[User] = User.objects.order_by("pk")
    while True:
        rest = everybody if count.last_key is None else everybody.filter(pk__gt=count.last_key)
        users = snapshots(rest[:BATCH])
        if not _add(count, users):
            return
        if len(users) < BATCH:
            _finish(count)
            return
        if ends is not None and time.monotonic() >= ends:
            FlagCount.objects.filter(pk=count.pk, claim=count.claim).update(lease_until=None)
            return


def _guarded(count: FlagCount, do: Callable[[], object]) -> None:
    ours = FlagCount.objects.filter(pk=count.pk, claim=count.claim)
    try:
        with looking():
            if has_flags():
                do()
            else:
                _end(ours, State.FAILED, NO_FLAGS)
    except DatabaseError:
        raise
    except Exception as error:
        # Its type alone: a message could name somebody.
        logger.exception("The count of the flag %s failed.", count.flag)
        _end(ours, State.FAILED, type(error).__name__)


def _begun(flag: str, *, is_sample: bool, users: int, by: User | None) -> FlagCount:
    try:
        with transaction.atomic():
            count: FlagCount = FlagCount.objects.create(
                flag=flag, is_sample=is_sample, users_planned=users, started_by=by
            )
    except IntegrityError as error:
        raise AlreadyCounting(flag) from error
    kept = FlagCount.objects.filter(flag=flag).values_list("pk", flat=True)[:KEPT]
    FlagCount.objects.filter(flag=flag).exclude(pk__in=list(kept)).delete()
    return count


def _claim(pk: int) -> FlagCount | None:
    """Take a count; None if it has ended, or somebody is at it."""
    with transaction.atomic():
        count = FlagCount.objects.select_for_update().filter(pk=pk).first()
        if count is None or not is_abandoned(count):
            return None
        if count.attempts >= MOST_ATTEMPTS:
            _end(FlagCount.objects.filter(pk=pk), State.FAILED, WORKER_DIED)
            return None
        count.claim = uuid.uuid4()
        count.attempts += 1
        count.lease_until = timezone.now() + LEASE
        count.save(update_fields=["claim", "attempts", "lease_until"])
    return count


def _add(count: FlagCount, users: list[UserSnapshot]) -> bool:
    """Count a batch and keep it; False if the count was taken from us. Changes `count`."""
    loaded = current_ruleset()
    version = _version_of(count.flag)
    if users:
        now = now_in_microseconds()
        contexts = (
            user_context(user, loaded.ruleset, now, source=ContextSource.DATABASE) for user in users
        )
        evaluations = (evaluate_one(count.flag, each, UNSET, None) for each in contexts)
        count.tally = _added(count.tally, evaluations)
        count.users_counted += len(users)
        count.last_key = uuid.UUID(users[-1].key)
    if not count.ruleset_version:
        count.flag_version, count.ruleset_version = version, loaded.version
    elif (count.flag_version, count.ruleset_version) != (version, loaded.version):
        count.has_changed = True
    ours = FlagCount.objects.filter(pk=count.pk, claim=count.claim, state=State.RUNNING)
    return bool(
        ours.update(
            tally=count.tally,
            users_counted=count.users_counted,
            last_key=count.last_key,
            flag_version=count.flag_version,
            ruleset_version=count.ruleset_version,
            has_changed=count.has_changed,
            attempts=0,
            lease_until=timezone.now() + LEASE,
        )
    )


def _added(
    tally: list[Mapping[str, Any]], evaluations: Iterable[Evaluation]
) -> list[dict[str, JSONValue]]:
    known = {each.what: each for each in (Outcome(**raw) for raw in tally)}
    users: Counter[Any] = Counter({what: each.users for what, each in known.items()})
    for evaluation in evaluations:
        one = _outcome(evaluation)
        known.setdefault(one.what, one)
        users[one.what] += 1
    return [replace(each, users=users[what]).to_json() for what, each in known.items()]


def _outcome(evaluation: Evaluation) -> Outcome:
    reason = evaluation.reason
    kind = str(reason.get("kind"))
    index = reason.get("ruleIndex")
    return Outcome(
        variation=evaluation.variation,
        value=evaluation.value,
        reason=f"{kind}:{reason.get('errorKind')}" if kind == "ERROR" else kind,
        rule=index + 1 if kind == "RULE_MATCH" and isinstance(index, int) else None,
        users=1,
    )


def _finish(count: FlagCount) -> bool:
    return _end(FlagCount.objects.filter(pk=count.pk, claim=count.claim), State.DONE)


def _end(counts: QuerySet[FlagCount], state: str, error: str = "") -> bool:
    """End those that are under way; whether there was one."""
    ended: int = counts.filter(state=State.RUNNING).update(
        state=state, error=error, finished_at=timezone.now(), lease_until=None, claim=None
    )
    return ended > 0


def _version_of(flag: str) -> int:
    raw = feature_store().raw()["flags"].get(flag)
    version = None if raw is None else raw.get("version")
    return version if isinstance(version, int) else 0


def _sample() -> tuple[list[UserSnapshot], bool]:
    """Users at random, by their keys, and whether there are others."""
    ordered: UserQuerySet[User] = User.objects.order_by("pk")
    if ordered.values("pk")[SAMPLE : SAMPLE + 1].count() == 0:
        return snapshots(ordered), False
    found: dict[str, UserSnapshot] = {}
    for _ in range(SAMPLE_WINDOWS):
        window = snapshots(ordered.filter(pk__gte=uuid.uuid4())[:SAMPLE_WINDOW])
        if len(window) < SAMPLE_WINDOW:
            window += snapshots(ordered[: SAMPLE_WINDOW - len(window)])
        found.update({user.key: user for user in window})
    return [found[key] for key in sorted(found)], True
