"""A stampede on one key is one read, and nobody is given a read that began before they came."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from featureflags.cache.single_flight import Turns
from tests.services.waiting import PATIENCE_SECONDS, wait_until

THREADS = 20
SECONDS = PATIENCE_SECONDS


class Reads:
    """Counts reads; each waits until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        assert self.go.acquire(timeout=SECONDS)
        return number


def has(turns: Turns[int], waiting: int) -> Callable[[], bool]:
    return lambda: sum(turn.waiting for turn in turns._turns.values()) == waiting


def test_those_who_come_meanwhile_share_the_next_read() -> None:
    turns: Turns[int] = Turns()
    reads = Reads()
    with ThreadPoolExecutor(THREADS) as pool:
        first = pool.submit(turns.read, "ada", reads)
        wait_until(lambda: reads.begun == 1, timeout=SECONDS, what="the first read")
        others = [pool.submit(turns.read, "ada", reads) for _ in range(THREADS - 1)]
        wait_until(has(turns, THREADS), timeout=SECONDS, what="all others")
        reads.go.release(2)
        assert first.result(SECONDS) == 1
        assert {other.result(SECONDS) for other in others} == {2}, "read after they came"
    assert reads.begun == 2
    assert turns._turns == {}


def test_keys_do_not_wait_for_each_other() -> None:
    turns: Turns[str] = Turns()
    assert turns.read("ada", lambda: turns.read("bob", lambda: "bob")) == "bob"


def test_what_one_raises_the_next_does_not_see() -> None:
    turns: Turns[int] = Turns()
    with pytest.raises(ZeroDivisionError):
        turns.read("ada", lambda: 1 // 0)
    assert turns.read("ada", lambda: 1) == 1


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featureflags.cache.single_flight.WAIT_SECONDS", 0.05)
    turns: Turns[int] = Turns()
    reads = Reads()
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(turns.read, "ada", reads)
        wait_until(lambda: reads.begun == 1, timeout=SECONDS, what="the first read")
        assert turns.read("ada", lambda: 7) == 7
        reads.go.release()
        assert stuck.result(SECONDS) == 1
