"""Commands go to Redis at once and are answered later; nobody gets another's answer, whatever fails."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection

from featureflags.cache.backends.redis import SharedRedisCache
from featureflags.cache.backends.redis_pipeline import Kept, connection_for_reads
from featureflags.core.conf import app_settings

pytestmark = [pytest.mark.django_db, pytest.mark.production_stack]


def backend() -> SharedRedisCache:
    return cast("SharedRedisCache", caches[app_settings().cache])


@pytest.fixture(autouse=True)
def stored(db: None) -> None:
    caches[app_settings().cache].set_many({"a": b"1", "b": b"2"}, 60)


def end_all_connections() -> None:
    """As a Redis that was restarted, or one that ends what is idle."""
    get_redis_connection(app_settings().cache).client_kill_filter(_type="normal", skipme=True)


def test_two_that_wait_have_a_connection_each() -> None:
    first, second = backend().send_read(["a"], (), b"", 0), backend().send_read(["b"], (), b"", 0)
    assert backend().send_read(["a", "b"], (), b"", 0).result() == [b"1", b"2"]
    assert second.result() == [b"2"]
    assert first.result() == [b"1"]


def test_a_thread_reads_on_over_its_own_connection() -> None:
    client = backend().client.get_client(write=True)
    loan = connection_for_reads(client)
    assert isinstance(loan, Kept)
    loan.release()
    again = connection_for_reads(client)
    again.release()
    assert again is loan


def test_another_thread_has_another_one() -> None:
    client = backend().client.get_client(write=True)
    loans = [connection_for_reads(client)]
    thread = threading.Thread(target=lambda: loans.append(connection_for_reads(client)))
    thread.start()
    thread.join()
    mine, theirs = loans
    mine.release()
    assert isinstance(theirs, Kept)
    assert theirs.connection is not mine.connection


def test_what_was_given_up_is_not_read_by_the_next() -> None:
    backend().send_read(["a"], (), b"", 0).discard()
    assert backend().send_read(["b"], (), b"", 0).result() == [b"2"]


def test_a_connection_that_was_closed_while_idle_is_made_again() -> None:
    assert backend().send_read(["a"], (), b"", 0).result() == [b"1"]
    end_all_connections()
    assert backend().send_read(["a"], (), b"", 0).result() == [b"1"]


def test_one_that_is_closed_while_it_waits_asks_again() -> None:
    sent = backend().send_read(["a"], (), b"", 0)
    end_all_connections()
    assert sent.result() == [b"1"]
    assert backend().send_read(["b"], (), b"", 0).result() == [b"2"]


def test_closing_twice_or_after_the_result_does_nothing() -> None:
    sent = backend().send_read(["a"], (), b"", 0)
    assert sent.result() == [b"1"]
    sent.discard()
    other = backend().send_read(["b"], (), b"", 0)
    sent.discard()
    assert other.result() == [b"2"]
