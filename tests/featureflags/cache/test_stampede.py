"""After a new epoch, or for one cold user, many threads ask at once: the database is asked little."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from featureflags.cache import invalidation
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core import publishing
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.registry import user_kind
from tests.factories import UserFactory
from tests.services.waiting import PATIENCE_SECONDS
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 12
USERS_OF_EACH = 5
QUERY_SECONDS = 0.2


class Counter:
    """The queries of users, in every thread; each waits until all threads have asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.queries = 0
        self.most_at_once = 0
        self._seconds = seconds
        self._at_once = 0
        self._together = threading.Barrier(THREADS)
        self._lock = threading.Lock()

    def watch(self, connection: Any, **_kwargs: Any) -> None:
        connection.execute_wrappers.append(self._count)

    def _count(self, execute: Any, sql: str, *rest: Any) -> Any:
        if 'FROM "users_user"' not in sql:
            return execute(sql, *rest)
        with self._lock:
            self.queries += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self._seconds)
            return execute(sql, *rest)
        finally:
            with self._lock:
                self._at_once -= 1

    def ask(self, *keys: str) -> list[tuple[str, object]]:
        """Source and name of each, one unit of work each."""
        self._together.wait()
        try:
            return [self._ask(key) for key in keys]
        finally:
            connections.close_all()

    def _ask(self, key: str) -> tuple[str, object]:
        with unit_of_work():
            resolved = resolve(key)
            return str(resolved.source), resolved.context.get("name")


@pytest.fixture
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    counter = Counter(getattr(request, "param", 0.0))
    connection_created.connect(counter.watch)
    yield counter
    connection_created.disconnect(counter.watch)


def test_one_cold_user_costs_one_query(counter: Counter) -> None:
    key = str(UserFactory.create().pk)
    connection.close()
    with ThreadPoolExecutor(THREADS) as pool:
        sources = [found[0][0] for found in pool.map(counter.ask, [key] * THREADS)]
    assert sources.count("database") == 1
    assert sources.count("cache") == THREADS - 1
    assert counter.queries == 1


@pytest.mark.parametrize("counter", [QUERY_SECONDS], indirect=True)
def test_after_a_new_epoch_a_process_has_one_query_at_a_time(counter: Counter) -> None:
    """Each thread asks for users of its own. One query takes what has come during the one before."""
    users = UserFactory.create_batch(THREADS * USERS_OF_EACH)
    keys = [str(user.pk) for user in users]
    contexts_for(keys)
    invalidation.raise_epoch()
    User.objects.update(name="After")
    connection.close()

    chunks = [keys[start::THREADS] for start in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = [
            each for asked in pool.map(lambda mine: counter.ask(*mine), chunks) for each in asked
        ]

    assert found == [("database", "After")] * len(keys)
    assert counter.most_at_once == 1
    assert counter.queries <= len(keys) / 2, f"{counter.queries} queries for {len(keys)} users"


def test_rows_of_an_older_snapshot_are_for_their_reader_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread whose transaction hides later writes reads for the others too."""
    key, other = (str(UserFactory.create(name="Now").pk) for _ in range(2))
    begun, go = threading.Event(), threading.Event()

    snapshots_and = user_kind().snapshots_and

    def as_of_before(keys: list[str], *arguments: Any, **options: Any) -> Any:
        found, is_current = snapshots_and(keys, *arguments, **options)
        if not begun.is_set():
            begun.set()
            go.wait(PATIENCE_SECONDS)
            is_current = False
        return found, is_current

    monkeypatch.setattr(user_kind(), "snapshots_and", as_of_before)

    def ask(key: str) -> str:
        try:
            return str(resolve(key).source)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, key)
        assert begun.wait(PATIENCE_SECONDS)
        others = [pool.submit(ask, each) for each in (key, other)]
        time.sleep(0.1)
        go.set()
        assert [each.result(20) for each in (first, *others)] == ["database"] * 3


class TestWarmUp:
    @pytest.fixture
    def published(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        names: list[str] = []
        monkeypatch.setattr("featureflags.receivers.publish", lambda task: names.append(task.name))
        return names

    def test_workers_fill_the_cache_after_a_new_epoch(
        self, published: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("featureflags.receivers.has_broker", lambda: True)
        invalidation.raise_epoch()
        assert published == ["featureflags.tasks.warm_contexts"]

    def test_without_a_broker_no_request_does_it(self, published: list[str]) -> None:
        assert not publishing.has_broker()
        invalidation.raise_epoch()
        assert published == []
