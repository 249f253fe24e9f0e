"""Behind PgBouncer, which gives each transaction any of its connections, a write is seen at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.factories import UserFactory
from tests.featureflags.cache.probing import Probe
from tests.featureflags.undelivered import undelivered
from tests.services.pgbouncer import PROGRAM, PgBouncer
from tests.services.processes import on_this_database

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.production_stack,
    pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed"),
]

WRITES = 20


@pytest.fixture(scope="module", params=["transaction", "session"])
def bouncer(request: pytest.FixtureRequest, django_db_setup: None) -> Iterator[PgBouncer]:
    """Three processes share two connections in transaction mode, and have one each otherwise."""
    url = str(on_this_database()["DATABASE_URL"])
    with PgBouncer(url, request.param, 2 if request.param == "transaction" else 4) as started:
        yield started


@pytest.fixture
def probes(bouncer: PgBouncer) -> Iterator[list[Probe]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Probe(DATABASE_URL=bouncer.url)) for _ in range(3)]


def test_the_next_unit_of_any_process_sees_it(probes: list[Probe]) -> None:
    key = str(UserFactory.create(role="user").pk)
    for number in range(WRITES):
        role = ("admin", "user")[number % 2]
        writer, *readers = probes[number % 3 :] + probes[: number % 3]
        writer.do("set_role", key, role)
        assert [reader.do("ask", key)["role"] for reader in readers] == [role, role]
    assert probes[0].do("ask", key)["source"] == "cache"
    assert not undelivered()


def test_a_transaction_is_seen_after_its_commit(probes: list[Probe]) -> None:
    key = str(UserFactory.create(role="user").pk)
    writer, reader, other = probes
    assert reader.do("ask", key)["role"] == "user"
    writer.do("begin")
    writer.do("set_role", key, "admin")
    assert reader.do("ask", key) == {**reader.do("ask", key), "role": "user", "source": "cache"}
    writer.do("commit")
    assert [probe.do("ask", key)["role"] for probe in (reader, other)] == ["admin", "admin"]
