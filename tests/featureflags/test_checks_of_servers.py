"""The system checks of the servers that never stale depends on: each finding, and a server without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import override_settings
from django_redis import get_redis_connection
from pytest_django.fixtures import Settings

from featureflags.cache.backends.redis import SharedRedisCache
from featureflags.checks.servers import check_cache_server, check_isolation
from tests.services.redis import RedisServer, redis_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(autouse=True)
def on_this_redis(server: RedisServer, settings: Settings) -> None:
    backend = "featureflags.cache.backends.redis.SharedRedisCache"
    settings.CACHES = {**settings.CACHES, "own": {"BACKEND": backend, "LOCATION": server.url}}
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CACHE": "own"}
    get_redis_connection("own").config_set("appendonly", "no")
    get_redis_connection("own").config_set("maxmemory", "0")


def ids(databases: list[str] | None) -> list[str | None]:
    return [message.id for message in check_cache_server(databases)]


def test_a_redis_as_the_page_asks_for_is_not_named() -> None:
    assert ids(["default"]) == []


def test_a_policy_that_refuses_entries_is_named() -> None:
    redis = get_redis_connection("own")
    redis.config_set("maxmemory", "100mb")
    redis.config_set("maxmemory-policy", "noeviction")
    assert ids(["default"]) == ["featureflags.W044"]
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert ids(["default"]) == []


def test_a_file_that_nobody_reads_is_named() -> None:
    get_redis_connection("own").config_set("appendonly", "yes")
    assert ids(["default"]) == ["featureflags.W045"]


def test_without_database_the_server_is_not_asked(settings: Settings) -> None:
    get_redis_connection("own").config_set("appendonly", "yes")
    assert ids(None) == []


def test_a_replica_is_an_error(server: RedisServer) -> None:
    redis = get_redis_connection("own")
    redis.slaveof("127.0.0.1", str(server.port + 1))
    try:
        assert ids(["default"]) == ["featureflags.E041"]
    finally:
        redis.slaveof()


@pytest.mark.parametrize(
    "facts", [{}, {"run_id": "a"}, {"run_id": "a", "master_replid": "b", "redis_mode": "cluster"}]
)
def test_a_redis_without_identity_or_of_a_cluster_is_an_error(
    facts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SharedRedisCache, "facts", lambda _self: facts)
    assert ids(["default"]) == ["featureflags.E041"]


def test_a_redis_that_is_away_is_for_readyz_to_say(settings: Settings) -> None:
    away = {**settings.CACHES["own"], "LOCATION": "redis://127.0.0.1:1/0"}
    with override_settings(CACHES={**settings.CACHES, "own": away}):
        assert ids(["default"]) == []


@pytest.mark.production_stack
def test_transactions_at_an_older_snapshot_are_named() -> None:
    assert check_isolation(["default"]) == []
    connection.cursor().execute("SET default_transaction_isolation = 'repeatable read'")
    try:
        found = check_isolation(["default"])
    finally:
        connection.cursor().execute("RESET default_transaction_isolation")
    assert [message.id for message in found] == ["featureflags.W046"]


@pytest.mark.production_stack
def test_a_database_that_is_a_replica_is_an_error() -> None:
    """A function of that name before the server's own: a standby would take no test's writes."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA standby")
        cursor.execute(
            "CREATE FUNCTION standby.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )
        cursor.execute("SET search_path = standby, pg_catalog, public")
        try:
            found = check_isolation(["default"])
        finally:
            cursor.execute("RESET search_path")
            cursor.execute("DROP SCHEMA standby CASCADE")
    assert [message.id for message in found] == ["featureflags.E043"]
    assert check_isolation(["default"]) == []


def test_without_database_the_isolation_is_not_asked() -> None:
    assert check_isolation(None) == []
