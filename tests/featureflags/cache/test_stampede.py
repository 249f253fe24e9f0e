"""Many threads ask for one cold user at once: the database is asked once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation.resolve import resolve
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 12


class Counter:
    """The queries of users, in every thread; each waits until all threads have asked."""

    def __init__(self) -> None:
        self.queries = 0
        self._together = threading.Barrier(THREADS)

    def watch(self, connection: Any, **_kwargs: Any) -> None:
        connection.execute_wrappers.append(self._count)

    def _count(self, execute: Any, sql: str, *rest: Any) -> Any:
        if 'FROM "users_user"' in sql:
            self.queries += 1
        return execute(sql, *rest)

    def ask(self, key: str) -> str:
        self._together.wait()
        try:
            with unit_of_work():
                return str(resolve(key).source)
        finally:
            connections.close_all()


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    connection_created.connect(counter.watch)
    yield counter
    connection_created.disconnect(counter.watch)


def test_one_cold_user_costs_one_query(counter: Counter) -> None:
    key = str(UserFactory.create().pk)
    connection.close()
    with ThreadPoolExecutor(THREADS) as pool:
        sources = list(pool.map(counter.ask, [key] * THREADS))
    assert sources.count("database") == 1
    assert sources.count("cache") == THREADS - 1
    assert counter.queries == 1
