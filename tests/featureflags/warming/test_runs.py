"""Runs: begun once, joined or refused, and never left standing for ever."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.db import connection
from django.utils import timezone

from featureflags.models import WarmRange, WarmRun
from featureflags.warming import runs
from featureflags.warming.batches import Counts
from featureflags.warming.leases import claim, finish
from featureflags.warming.progress import report
from featureflags.warming.runs import (
    AnotherRun,
    Begun,
    begin,
    for_workers,
    give_up_stalled,
    settle,
    under_way,
)
from featureflags.warming.scope import Scope
from featureflags.warming.worker import warm
from tests.featureflags.warming.people import EVERYBODY, LAST_WEEK, as_stored, cached, crowd, seen

pytestmark = pytest.mark.django_db(transaction=True)

FORCED = Scope(days=None, force=True)


@pytest.mark.parametrize(
    ("running", "wanted", "joins"),
    [
        (EVERYBODY, EVERYBODY, True),
        (EVERYBODY, LAST_WEEK, True),
        (Scope(days=30), LAST_WEEK, True),
        (FORCED, EVERYBODY, True),
        (FORCED, FORCED, True),
        (LAST_WEEK, EVERYBODY, False),
        (LAST_WEEK, Scope(days=30), False),
        (EVERYBODY, FORCED, False),
        (Scope(days=7, force=True), EVERYBODY, False),
    ],
)
def test_a_second_run_joins_the_first_or_is_refused(
    running: Scope, wanted: Scope, joins: bool
) -> None:
    seen(1)
    first = begin(running)
    assert not first.joined
    if joins:
        assert begin(wanted) == Begun(run=first.run, joined=True)
    else:
        with pytest.raises(AnotherRun, match=rf"warm-up {first.run} .*--cancel"):
            begin(wanted)
    assert WarmRun.objects.count() == 1


def test_of_many_who_begin_at_once_one_does() -> None:
    crowd(3)
    begun: list[Begun] = []
    start = threading.Barrier(4)

    def begin_one() -> None:
        start.wait()
        begun.append(begin(EVERYBODY))
        connection.close()

    threads = [threading.Thread(target=begin_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.joined for each in begun) == [False, True, True, True]
    assert len({each.run for each in begun}) == 1
    assert WarmRange.objects.count() == 1


def test_who_joins_takes_over_what_a_killed_process_has_left() -> None:
    users = crowd(3)
    begin(EVERYBODY)
    ended = warm(EVERYBODY)
    assert (ended.succeeded, ended.written) == (True, 3)
    assert cached(*users) == as_stored(*users)


def test_an_ended_run_is_followed_by_a_new_one() -> None:
    crowd(2)
    first = warm(EVERYBODY)
    second = warm(EVERYBODY)
    assert first.run != second.run
    assert under_way() == []


def test_a_run_that_nobody_works_on_is_given_up() -> None:
    crowd(2)
    stalled = begin(EVERYBODY).run
    claimed = claim(stalled)
    age(stalled, minutes=59)
    assert give_up_stalled() == 0
    age(stalled, minutes=61)
    ended = warm(Scope(days=None, force=True))
    assert (ended.run != stalled, ended.succeeded) == (True, True)
    reported = report(stalled)
    assert (reported.state, reported.error) == ("failed", runs.GIVEN_UP)
    assert [each.number for each in reported.unfinished] == [1]
    assert claimed is not None
    assert not finish(claimed, Counts(read=2))


def age(run: int, *, minutes: float) -> None:
    then = timezone.now() - datetime.timedelta(minutes=minutes)
    WarmRun.objects.filter(pk=run).update(progressed_at=then)


def test_workers_take_what_is_theirs_and_what_a_killed_process_has_left() -> None:
    crowd(2)
    run = begin(EVERYBODY).run
    assert for_workers() == [], "the process that began it is at it"
    age(run, minutes=2)
    assert for_workers() == [run], "it has not been heard of for two leases"
    WarmRun.objects.update(progressed_at=timezone.now())
    assert begin(EVERYBODY, by_workers=True) == Begun(run=run, joined=True)
    assert for_workers() == [run], "somebody asked for workers"
    warm(EVERYBODY)
    assert for_workers() == []
    second = begin(EVERYBODY, by_workers=True).run
    assert for_workers() == under_way() == [second]


def test_another_release_runs_beside_ours() -> None:
    crowd(2)
    begin(LAST_WEEK)
    other = WarmRun.objects.create(
        snapshot_version=999, ranges_planned=1, users_planned=1, spare=True
    )
    assert other.pk not in under_way()
    assert begin(LAST_WEEK).run != other.pk
    age(other.pk, minutes=61)
    assert give_up_stalled() == 1, "nobody else will"


def test_a_run_ends_with_its_last_range() -> None:
    crowd(2)
    run = begin(EVERYBODY).run
    assert not settle(run)
    claimed = claim(run)
    assert claimed is not None
    assert not settle(run)
    finish(claimed, Counts(read=2, written=2))
    assert settle(run)
    assert settle(run)
    assert report(run).percent == 100


def test_old_runs_are_removed_but_never_one_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_RUNS", 2)
    crowd(1)
    other = WarmRun.objects.create(
        snapshot_version=999, ranges_planned=1, users_planned=1, spare=True
    )
    found = [warm(EVERYBODY).run for _ in range(4)]
    assert set(WarmRun.objects.values_list("pk", flat=True)) == {other.pk, *found[-2:]}
    assert set(WarmRange.objects.values_list("run", flat=True)) == set(found[-2:])
