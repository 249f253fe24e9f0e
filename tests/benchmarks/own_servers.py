"""Runs the module that measures on a PostgreSQL and a Redis of its own, which are gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server
from tests.services.redis import redis_server


def run(module: str, *arguments: str, settings: str, by_socket: bool = False, **env: str) -> int:
    """`python -m tests.benchmarks.<module> ARGUMENTS…` with these settings; its exit code.

    `by_socket`: Redis' address is its Unix socket, and REDIS_TCP_URL the other one. `env` are more
    variables; `{folder}` in one is a folder that is gone afterwards.
    """
    with (
        postgres_server() as database,
        redis_server() as redis,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {
            **os.environ,
            "DATABASE_URL": database.url,
            "REDIS_URL": redis.socket_url if by_socket else redis.url,
            "REDIS_TCP_URL": redis.url,
            "GUIDON_VAR_DIR": folder,
            "GUIDON_IGNORE_DOTENV": "1",
            "DJANGO_SETTINGS_MODULE": settings,
            **{name: value.format(folder=folder) for name, value in env.items()},
        }
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode
