"""Threads that want different keys share a query, and nobody is given one that began before they came."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from featureflags.cache import gathered_reads
from featureflags.cache.gathered_reads import GatheredReads
from tests.services.waiting import PATIENCE_SECONDS, wait_until

THREADS = 10


class Queries:
    """Each waits until it is let go, and answers with its number."""

    def __init__(self) -> None:
        self.keys: list[set[str]] = []
        self.go = threading.Semaphore(0)
        self.may_share = True
        self.reads = GatheredReads(self.read)

    def read(self, keys: list[str]) -> tuple[dict[str, int], bool]:
        self.keys.append(set(keys))
        number = len(self.keys)
        assert self.go.acquire(timeout=PATIENCE_SECONDS)
        if number == 1 and not self.may_share:
            raise ZeroDivisionError
        return {key: number for key in keys if key != "nobody"}, self.may_share

    def wait_for(self, waiting: int) -> None:
        wait_until(lambda: len(self.reads._waiting) == waiting, what="all of them")


@pytest.fixture
def queries() -> Queries:
    return Queries()


def test_who_comes_meanwhile_shares_the_next_query(queries: Queries) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        first = pool.submit(queries.reads.read, "first")
        wait_until(lambda: len(queries.keys) == 1, what="the first query")
        names = [f"user {number}" for number in range(THREADS - 2)]
        others = [pool.submit(queries.reads.read, name) for name in (*names, "nobody")]
        queries.wait_for(THREADS)
        queries.go.release(2)
        assert first.result(PATIENCE_SECONDS) == (1, True)
        found = [other.result(PATIENCE_SECONDS) for other in others]
    assert found == [*[(2, True)] * len(names), (None, True)]
    assert queries.keys == [{"first"}, {*names, "nobody"}]
    assert queries.reads._waiting == []


def test_an_error_and_what_may_not_be_shared_are_for_one_alone(queries: Queries) -> None:
    queries.may_share = False
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(queries.reads.read, "a")
        wait_until(lambda: len(queries.keys) == 1, what="the first query")
        others = [pool.submit(queries.reads.read, key) for key in ("b", "c")]
        queries.wait_for(3)
        queries.go.release(3)
        with pytest.raises(ZeroDivisionError):
            first.result(PATIENCE_SECONDS)
        assert {other.result(PATIENCE_SECONDS)[0] for other in others} == {2, 3}
    assert queries.reads._waiting == []


def test_nobody_waits_for_ever(queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_reads, "WAIT_SECONDS", 0.05)
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(queries.reads.read, "a")
        wait_until(lambda: len(queries.keys) == 1, what="the first query")
        alone = pool.submit(queries.reads.read, "b")
        wait_until(lambda: len(queries.keys) == 2, what="the second query")
        queries.go.release(2)
        assert {stuck.result(PATIENCE_SECONDS)[0], alone.result(PATIENCE_SECONDS)[0]} == {1, 2}


def test_a_query_has_a_bound(queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_reads, "MOST_KEYS", 3)
    with ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(queries.reads.read, str(number)) for number in range(THREADS)]
        queries.wait_for(THREADS)
        queries.go.release(THREADS)
        for each in found:
            each.result(PATIENCE_SECONDS)
    assert max(map(len, queries.keys)) == 3
    assert len(queries.keys) < THREADS
