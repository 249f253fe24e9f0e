"""Counts of a flag's users by several workers: leases, a worker that dies, a count that is cancelled."""

from __future__ import annotations

import datetime
import os
from typing import Any

import pytest
from celery import current_app
from django.db import DatabaseError, connection
from django.utils import timezone

from featureflags.core.timetable import TIMETABLE
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.inspection import variation_counts
from featureflags.inspection.outcomes import outcomes
from featureflags.inspection.variation_counts import (
    AlreadyCounting,
    abandoned,
    begin,
    count_sample,
    work,
)
from featureflags.kinds.registry import user_kind
from featureflags.models import FlagCount
from featureflags.tasks import count_flag, tend_flag_counts
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.inspection.counting import State, counted, outcomes_of
from tests.services.flag_json import boolean_flag, rollout
from tests.services.processes import celery_worker
from tests.services.redis import redis_server
from tests.services.waiting import PATIENCE_SECONDS, wait_until
from users.models import User

WORKER_SECONDS = PATIENCE_SECONDS


@pytest.mark.django_db
@pytest.mark.usefixtures("small_batches")
class TestLeases:
    @pytest.fixture(autouse=True)
    def seven(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(7)

    def test_two_do_not_count_one_flag(self) -> None:
        count = begin("beta")
        with pytest.raises(AlreadyCounting):
            begin("beta")
        with pytest.raises(AlreadyCounting):
            count_sample("beta")
        begin("other")
        work(count.pk)
        begin("beta")

    def test_a_second_worker_does_nothing_while_the_first_counts(self) -> None:
        count = begin("beta")
        FlagCount.objects.update(lease_until=timezone.now() + datetime.timedelta(minutes=1))
        work(count.pk)
        count.refresh_from_db()
        assert (count.users_counted, abandoned()) == (0, [])

    def test_a_database_that_goes_away_leaves_the_count_to_others(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count = begin("beta")
        work(count.pk, seconds=0.0)
        with monkeypatch.context() as patch:

            def gone(*_args: object) -> None:
                raise DatabaseError

            patch.setattr(user_kind(), "snapshots", gone)
            with pytest.raises(DatabaseError):
                work(count.pk)
        assert abandoned() == []
        FlagCount.objects.update(lease_until=timezone.now() - datetime.timedelta(seconds=1))
        work(count.pk)
        assert outcomes_of(count) == {(False, "FALLTHROUGH", None): 7}

    def test_a_batch_of_one_who_lost_the_lease_is_not_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that slept for an hour wakes up after another one has taken over."""
        count = begin("beta")
        begun: list[None] = []

        def slept(*args: Any) -> Any:
            if not begun:
                begun.append(None)
                FlagCount.objects.update(lease_until=None)
                work(count.pk)
            return evaluate_one(*args)

        monkeypatch.setattr(variation_counts, "evaluate_one", slept)
        work(count.pk)
        assert outcomes_of(count) == {(False, "FALLTHROUGH", None): 7}
        assert count.users_counted == 7

    def test_one_that_kills_its_worker_each_time_ends(self) -> None:
        count = begin("beta")
        for _ in range(variation_counts.MOST_ATTEMPTS):
            assert variation_counts._claim(count.pk) is not None
            FlagCount.objects.update(lease_until=None)
        work(count.pk)
        count.refresh_from_db()
        assert (count.state, count.error) == (State.FAILED, "Its worker died.")

    def test_old_counts_are_forgotten(self) -> None:
        for _ in range(variation_counts.KEPT + 2):
            counted("beta")
        counted("other")
        assert FlagCount.objects.filter(flag="beta").count() == variation_counts.KEPT
        assert FlagCount.objects.filter(flag="other").count() == 1

    def test_a_user_who_is_deleted_leaves_the_count_they_began(self) -> None:
        starter = UserFactory.create()
        begin("beta", by=starter)
        starter.delete()
        assert FlagCount.objects.get().started_by is None

    def test_abandoned_ones_are_tended(self) -> None:
        count = begin("beta")
        assert tend_flag_counts.delay().get() == 1
        count.refresh_from_db()
        assert (count.state, count.users_counted) == (State.DONE, 7)
        assert tend_flag_counts.delay().get() == 0


def test_with_a_broker_they_are_tended_each_minute() -> None:
    tasks = {entry.task for entry in TIMETABLE if entry.for_workers}
    assert tend_flag_counts.name in tasks


def send(task: str, broker: str, *args: object) -> None:
    """Put a message into the queue, as a process with a broker does."""
    with current_app.connection_for_write(broker) as link:
        current_app.send_task(task, args=args, connection=link)


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_is_replaced_and_no_user_is_counted_twice(
    flag_file: FlagFile,
) -> None:
    """A real worker, killed in the middle; the next one goes on, and the sum is right."""
    path = flag_file(boolean_flag("beta", fallthrough=rollout(30_000, 70_000)))
    User.objects.bulk_create(
        [User(email=f"user{number}@example.com", password="!") for number in range(20_000)]
    )
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    count = begin("beta")

    def users_counted() -> int:
        count.refresh_from_db()
        return count.users_counted

    with redis_server() as broker:
        env = {
            "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
            "CELERY_BROKER_URL": broker.url,
            "LAUNCHDARKLY_FLAG_FILE": str(path),
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        with celery_worker(env, "--concurrency=1") as worker:
            send(count_flag.name, broker.url, count.pk)
            wait_until(
                lambda: users_counted() > 0 or "Traceback" in worker.log(),
                timeout=WORKER_SECONDS,
                what="the first batch",
            )
            worker.kill()
            assert users_counted() < 20_000, worker.log()
        # Beat sends this each minute. It takes over what nobody holds any more.
        FlagCount.objects.update(lease_until=timezone.now())
        with celery_worker(env, "--concurrency=1") as worker:
            send(tend_flag_counts.name, broker.url)
            wait_until(
                lambda: users_counted() == 20_000 and count.state == State.DONE,
                timeout=WORKER_SECONDS,
                what="the rest",
            )
    assert sum(each.users for each in outcomes(count.tally)) == 20_000
    shares = {each.value: each.users / 20_000 for each in outcomes(count.tally)}
    assert shares[True] == pytest.approx(0.3, abs=0.02)
