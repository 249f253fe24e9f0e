"""Redis is cut off and comes back with its data: what was written meanwhile is not forgotten.

Within 5 seconds of its return nobody sees an old answer, whatever process wrote and died meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from featureflags.models import SegmentMember
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.cache.probing import Probe
from tests.services.redis import RedisServer, redis_server
from users.models import User

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db(transaction=True)]

SECONDS = 5.0
"""So long after Redis answers again, all is new."""
MORE_SECONDS = 3.0
"""And stays so."""
PAUSE_SECONDS = 0.2
"""Between two questions to everybody: other tests need the processors too."""


@contextmanager
def stopped(redis: RedisServer) -> Iterator[None]:
    """Gone, and back on the same port with what it held (its append-only file)."""
    redis.stop()
    yield
    redis.start()


@contextmanager
def hanging(redis: RedisServer) -> Iterator[None]:
    """There, but it does not answer."""
    redis.pause()
    yield
    redis.resume()


CutOff = Callable[[RedisServer], object]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.mark.parametrize("cut_off", [stopped, hanging])
def test_what_was_written_while_redis_was_cut_off_is_seen(
    redis: RedisServer, cut_off: CutOff
) -> None:
    changed, deleted, member, other = (UserFactory.create() for _ in range(4))
    keys = [str(user.pk) for user in (changed, deleted, member, other)]
    segment = SegmentFactory.create(key="chosen", name="Before")
    SegmentFactory.create(key="edited", rules=[rule(clause("role", "in", "system"))])
    with Probe(REDIS_URL=redis.url) as first, Probe(REDIS_URL=redis.url) as second:
        readers = (first, second)
        for reader in readers:
            for key in keys:
                reader.do("ask", key)
            assert all(reader.do("ask", key)["source"] == "cache" for key in keys)
            assert reader.do("names")["chosen"] == "Before"

        with cut_off(redis):  # type: ignore[attr-defined]  # both are context managers
            with Probe(REDIS_URL=redis.url) as writer:
                everybody = [rule(clause("role", "in", "user"))]
                writer.do("set_role", keys[0], "admin")
                writer.do("delete", keys[1])
                writer.do("add_member", "chosen", keys[2])
                writer.do("edit_segment", "edited", "After", everybody)
                writer.dies("die_behind_commit", "edit_segment", "chosen", "After", [])
            # Without the cache the answers come from the database, and are right at once.
            assert first.do("ask", keys[0])["role"] == "admin"

        back = time.monotonic()
        while time.monotonic() < back + SECONDS:
            for reader in readers:
                reader.do("ask", keys[3])
            time.sleep(PAUSE_SECONDS)
        ends = time.monotonic() + MORE_SECONDS
        while time.monotonic() < ends:
            for reader in readers:
                assert reader.do("ask", keys[0])["role"] == "admin"
                assert reader.do("ask", keys[1])["role"] is None, "that user is gone"
                assert "chosen" in reader.do("ask", keys[2])["segments"]
                assert "edited" in reader.do("ask", keys[3])["segments"]
                assert reader.do("names") == {**reader.do("names"), "chosen": "After"}
            time.sleep(PAUSE_SECONDS)
        assert not first.do("pending")
        assert [reader.do("ask", keys[3])["source"] for reader in readers] == ["cache", "cache"]
    assert SegmentMember.objects.filter(segment=segment).count() == 1
    assert User.objects.count() == 3
