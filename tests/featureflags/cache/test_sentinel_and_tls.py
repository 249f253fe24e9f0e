"""Redis behind Sentinel, and both servers by TLS: what is written is seen, before and after a failover."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.factories import UserFactory
from tests.featureflags.cache.probing import Probe
from tests.services.postgres import postgres_server
from tests.services.processes import manage, run_python
from tests.services.redis import RedisServer, redis_server
from tests.services.sentinel import (
    PRIMARY,
    ReplicaServer,
    Sentinel,
    TLSPostgresServer,
    TLSRedisServer,
    postgres_with_tls,
    redis_with_tls,
)
from tests.services.waiting import wait_until

pytestmark = pytest.mark.production_stack

PATIENT = {
    "FLAG_CHECK_DATABASE_SECONDS": "20",
    "FLAG_CHECK_REDIS_SECONDS": "20",
    "LAUNCHDARKLY_SPARE_URL": "",
}


@pytest.fixture
def watched() -> Iterator[tuple[RedisServer, Sentinel]]:
    with ExitStack() as stack:
        primary = stack.enter_context(redis_server())
        stack.enter_context(ReplicaServer(primary))
        yield primary, stack.enter_context(Sentinel(primary))


@pytest.mark.django_db(transaction=True)
def test_a_failover_loses_no_write(watched: tuple[RedisServer, Sentinel]) -> None:
    primary, sentinel = watched
    key = str(UserFactory.create(role="user").pk)
    variables = {**PATIENT, "REDIS_URL": f"redis://{PRIMARY}/0", "REDIS_SENTINELS": sentinel.url}
    with Probe(**variables) as writer, Probe(**variables) as reader:

        def seen(role: str) -> str:
            writer.do("set_role", key, role)
            found = reader.do("ask", key)
            assert found["role"] == role
            return str(found["source"])

        assert seen("admin") == "database"
        assert reader.do("ask", key)["source"] == "cache"
        primary.kill()
        # Nobody answers for the cache: the database does.
        assert {seen(role) for role in ("user", "admin", "user")} == {"database"}
        wait_until(lambda: sentinel.primary_port() != primary.port, what="the failover")

        def is_cached() -> bool:
            assert reader.do("ask", key)["role"] == "user"
            return bool(reader.do("ask", key)["source"] == "cache")

        wait_until(is_cached, what="entries in the new primary")
        for role in ("admin", "user") * 3:
            seen(role)
        # The old primary comes back as a replica, with what it knew.
        primary.start()
        for role in ("admin", "user") * 5:
            seen(role)
            time.sleep(0.1)


@pytest.mark.skipif(redis_with_tls() is None, reason="no redis-server with TLS on the PATH")
@pytest.mark.django_db(transaction=True)
def test_redis_by_tls() -> None:
    key = str(UserFactory.create(role="user").pk)
    with TLSRedisServer() as server:
        with (
            Probe(**PATIENT, REDIS_URL=server.url) as writer,
            Probe(**PATIENT, REDIS_URL=server.url) as reader,
        ):
            for role in ("admin", "user"):
                writer.do("set_role", key, role)
                assert reader.do("ask", key)["role"] == role
            assert reader.do("ask", key)["source"] == "cache"
        program = (
            "from config.celery import app\n"
            "with app.connection_for_write() as c: print(c.ensure_connection(max_retries=1).transport.driver_type)"
        )
        broker = f"{server.url}&ssl_cert_reqs=required"
        env = {"DJANGO_SETTINGS_MODULE": "config.settings.testing", "CELERY_BROKER_URL": broker}
        done = run_python(env, "-c", program)
        assert done.stdout.strip() == "redis", done.stderr


SSL = "from django.db import connection as c; k = c.cursor(); k.execute('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'); print('TLS', k.fetchone()[0])"


@pytest.mark.skipif(postgres_with_tls() is None, reason="no PostgreSQL with TLS (Debian's)")
def test_postgresql_by_tls() -> None:
    with TLSPostgresServer() as server:
        env = {"DJANGO_SETTINGS_MODULE": "config.settings.testing", "DATABASE_URL": server.url}
        done = manage(env, "shell", "--verbosity=0", "--command", SSL)
        assert done.stdout.strip() == "TLS True", done.stderr
        with postgres_server() as other:
            # Another server in its place: its certificate is asked for, and there is none.
            env["DATABASE_URL"] = server.url.replace(f":{server.port}/", f":{other.port}/")
            refused = manage(env, "shell", "--verbosity=0", "--command", SSL)
        assert "does not support SSL" in refused.stderr
