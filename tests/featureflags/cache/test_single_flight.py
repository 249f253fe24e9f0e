"""A stampede on one key is one read, and nobody is given a read that began before they came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from featureflags.cache.single_flight import SingleFlight
from tests.services.waiting import PATIENCE_SECONDS, wait_until

THREADS = 20
SECONDS = PATIENCE_SECONDS


class Reads:
    """Counts reads; each waits until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Semaphore(0)

    def __call__(self, _is_late: bool) -> int:
        self.begun += 1
        number = self.begun
        assert self.go.acquire(timeout=SECONDS)
        return number


def has(flights: SingleFlight[int], waiting: int) -> Callable[[], bool]:
    return lambda: sum(flight.waiting for flight in flights._flights.values()) == waiting


def test_those_who_come_meanwhile_share_the_next_read() -> None:
    flights: SingleFlight[int] = SingleFlight()
    reads = Reads()
    with ThreadPoolExecutor(THREADS) as pool:
        first = pool.submit(flights.fly, "ada", reads)
        wait_until(lambda: reads.begun == 1, timeout=SECONDS, what="the first read")
        others = [pool.submit(flights.fly, "ada", reads) for _ in range(THREADS - 1)]
        wait_until(has(flights, THREADS), timeout=SECONDS, what="all others")
        reads.go.release(2)
        assert first.result(SECONDS) == 1
        assert {other.result(SECONDS) for other in others} == {2}, "read after they came"
    assert reads.begun == 2
    assert flights._flights == {}


def test_keys_do_not_wait_for_each_other() -> None:
    flights: SingleFlight[str] = SingleFlight()
    assert flights.fly("ada", lambda _: flights.fly("bob", lambda _: "bob")) == "bob"


def test_what_one_raises_the_next_does_not_see() -> None:
    flights: SingleFlight[int] = SingleFlight()
    with pytest.raises(ZeroDivisionError):
        flights.fly("ada", lambda _: 1 // 0)
    assert flights.fly("ada", lambda _: 1) == 1


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featureflags.cache.single_flight.WAIT_SECONDS", 0.05)
    flights: SingleFlight[int] = SingleFlight()
    reads = Reads()
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(flights.fly, "ada", reads)
        wait_until(lambda: reads.begun == 1, timeout=SECONDS, what="the first read")
        assert flights.fly("ada", lambda _: 7) == 7
        reads.go.release()
        assert stuck.result(SECONDS) == 1


def test_a_read_knows_that_another_one_ended_since_it_looked() -> None:
    flights: SingleFlight[bool] = SingleFlight()
    looked = time.monotonic()
    assert flights.fly("ada", lambda is_late: is_late, since=looked) is False
    assert flights.fly("ada", lambda is_late: is_late, since=looked) is True
    assert flights.fly("ada", lambda is_late: is_late, since=time.monotonic()) is False
