"""Claims: a range has one worker, which may be killed, slow, or cancelled."""

from __future__ import annotations

import datetime
import threading
import uuid

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.kinds.registry import user_kind
from featureflags.models import WarmRange, WarmRun
from featureflags.warming import leases
from featureflags.warming.batches import Counts
from featureflags.warming.leases import (
    MOST_ATTEMPTS,
    Claim,
    claim,
    finish,
    give_back,
    prolong,
    to_send,
)
from featureflags.warming.progress import report
from featureflags.warming.runs import begin, cancel, settle
from tests.featureflags.warming.people import EVERYBODY, change, crowd

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = Counts()


@pytest.fixture
def run(settings: Settings) -> int:
    """A run of five ranges of two users each, which nobody works on."""
    change(settings, WARM_RANGE=2)
    crowd(10)
    return begin(EVERYBODY).run


def taken(run: int, number: int | None = None) -> Claim:
    found = claim(run, number)
    assert found is not None
    return found


def pass_time(seconds: float) -> None:
    """As if the rows had been written so long ago."""
    ago = datetime.timedelta(seconds=seconds)
    for row in WarmRange.objects.all():
        for field in ("lease_until", "sent_at"):
            before = getattr(row, field)
            setattr(row, field, None if before is None else before - ago)
        row.save()


def state(run: int, number: int) -> WarmRange:
    return WarmRange.objects.get(run=run, number=number)


def test_a_range_has_one_worker(run: int) -> None:
    assert [taken(run).number for _ in range(5)] == [1, 2, 3, 4, 5]
    assert claim(run) is None
    assert claim(run, 3) is None


def test_of_many_who_claim_at_once_no_two_get_the_same(run: int) -> None:
    got: list[int] = []
    start = threading.Barrier(4)

    def take_all() -> None:
        start.wait()
        while (found := claim(run)) is not None:
            got.append(found.number)
        connection.close()

    threads = [threading.Thread(target=take_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [1, 2, 3, 4, 5]


def test_who_is_killed_loses_the_range_when_the_lease_ends(run: int) -> None:
    first = taken(run, 1)
    pass_time(29)
    assert claim(run, 1) is None
    pass_time(2)
    second = taken(run, 1)
    assert (first.row, first.token != second.token) == (second.row, True)
    # The first was not dead but slow: it must stop, and its numbers are ignored.
    assert not prolong(first, Counts(read=7))
    assert not finish(first, Counts(read=7))
    give_back(first, Counts(read=7), "Late.")
    assert (state(run, 1).state, state(run, 1).users_read) == ("running", 0)
    assert finish(second, Counts(read=2, written=2))
    assert (state(run, 1).state, state(run, 1).users_written) == ("done", 2)


def test_who_lives_keeps_the_range(run: int) -> None:
    ours = taken(run, 1)
    for done in range(1, 5):
        pass_time(20)
        assert prolong(ours, Counts(read=done))
    assert claim(run, 1) is None
    assert report(run).read == 4


def test_a_range_that_kills_its_workers_fails_at_last(run: int) -> None:
    for attempt in range(MOST_ATTEMPTS):
        assert taken(run, 1).number == 1, attempt
        pass_time(31)
    assert claim(run, 1) is None
    assert (state(run, 1).state, state(run, 1).error) == ("failed", leases.WORKER_DIED)
    for number in range(2, 6):
        finish(taken(run, number), Counts(read=2, written=2))
    assert settle(run)
    ended = report(run)
    assert ended.state == "failed"
    assert [each.number for each in ended.unfinished] == [1]


def test_the_last_error_is_reported(run: int) -> None:
    for attempt in range(MOST_ATTEMPTS):
        may_try_again = give_back(taken(run, 1), NOTHING, "The cache does not answer.")
        assert may_try_again is (attempt < MOST_ATTEMPTS - 1)
    assert claim(run, 1) is None
    assert state(run, 1).error == "The cache does not answer."


def test_a_run_that_ended_gives_nothing_away_and_stops_who_works(run: int) -> None:
    ours = taken(run)
    assert cancel(run)
    assert not prolong(ours, NOTHING)
    assert not finish(ours, Counts(read=2))
    assert claim(run) is None
    assert to_send(run) == []
    assert not cancel(run)
    assert {each.state for each in WarmRange.objects.all()} == {"waiting"}
    WarmRun.objects.all().delete()
    assert claim(run, 1) is None, "a message that comes an hour late"


def test_another_release_s_run_is_left_to_it(run: int) -> None:
    WarmRun.objects.update(snapshot_version="other")
    assert claim(run) is None
    assert to_send(run) == []
    WarmRun.objects.update(snapshot_version=user_kind().fingerprint)
    assert claim(run) is not None


class TestSending:
    def test_all_free_workers_are_busy_and_no_further_ranges_wait(self, run: int) -> None:
        assert to_send(run) == [1, 2]
        assert to_send(run) == []
        taken(run, 1)
        assert to_send(run) == [3]
        taken(run, 2), taken(run, 3)
        assert to_send(run) == [4, 5]

    def test_a_limit_of_workers(self, run: int, settings: Settings) -> None:
        change(settings, WARM_AT_ONCE=1)
        assert to_send(run) == [1]
        first = taken(run, 1)
        assert to_send(run) == []
        finish(first, NOTHING)
        assert to_send(run) == [2]

    def test_a_message_that_nobody_took_is_sent_again(self, run: int) -> None:
        assert to_send(run) == [1, 2]
        pass_time(59)
        assert to_send(run) == []
        pass_time(2)
        assert to_send(run) == [1, 2]

    def test_a_killed_worker_s_range_is_sent_when_its_lease_ends(self, run: int) -> None:
        to_send(run)
        taken(run, 1), taken(run, 2)
        pass_time(31)
        assert to_send(run) == [1, 2]
        assert to_send(run) == []
        assert taken(run, 1).number == 1


class TestPace:
    def test_ranges_begin_as_the_limit_allows(self, settings: Settings) -> None:
        change(settings, WARM_USERS_PER_SECOND=4)
        crowd(12)
        run = begin(EVERYBODY).run
        assert report(run).ranges == 3, "no range is more than a second's worth"
        begins = [taken(run).begins_at for _ in range(3)]
        assert [(each - begins[0]).total_seconds() for each in begins] == [0, 1, 2]

    def test_time_that_nobody_used_is_not_saved_up(self, settings: Settings) -> None:
        change(settings, WARM_USERS_PER_SECOND=4)
        crowd(8)
        run = begin(EVERYBODY).run
        taken(run)
        WarmRun.objects.update(paced_until=timezone.now() - datetime.timedelta(hours=1))
        assert taken(run).begins_at > timezone.now() - datetime.timedelta(seconds=5)

    def test_one_worker_waits_and_not_all(self, settings: Settings) -> None:
        change(settings, WARM_USERS_PER_SECOND=2)
        crowd(10)
        run = begin(EVERYBODY).run
        assert to_send(run) == [1, 2]
        taken(run, 1), taken(run, 2)
        assert to_send(run) == [], "the pace is what counts now"

    def test_without_a_limit_nothing_waits(self, run: int) -> None:
        assert [taken(run).begins_at <= timezone.now() for _ in range(5)] == [True] * 5


def test_claims_name_the_users_of_their_range(run: int) -> None:
    assert [user.pk for user in taken(run, 2).users.order_by("pk")] == [
        uuid.UUID(int=3),
        uuid.UUID(int=4),
    ]
