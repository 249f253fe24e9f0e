"""Open streams of one process: what they cost while nothing happens, and how soon each hears of a write.

    python -m tests.benchmarks.streams [--streams N] [--json FILE]

Runs uvicorn with one process on a PostgreSQL and a Redis of its own. Each stream is of another user. Beside
it: the same number of sockets of a bare asyncio server that writes one message to each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server
from tests.services.redis import redis_server

STREAMS = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=STREAMS, help=f"(default {STREAMS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "tests.benchmarks.streamed", str(chosen.streams), chosen.json]
    with (
        postgres_server() as database,
        redis_server() as redis,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {
            **os.environ,
            "DATABASE_URL": database.url,
            "REDIS_URL": redis.url,
            "GUIDON_VAR_DIR": folder,
            "GUIDON_IGNORE_DOTENV": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "DEBUG": "false",
            "LIVE_STREAMS": str(chosen.streams + 10),
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
