"""What noticing writes costs: each write with the triggers, beside Django's own without any.

    python -m tests.benchmarks.writes [--users N] [--json FILE]

Runs on a PostgreSQL and a Redis of its own. Both sides write the same rows through Django, in turns; the
best of several runs counts. Afterwards it counts the queries of reads, which no write may multiply.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server
from tests.services.redis import redis_server

USERS = 200_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=USERS, help=f"how many (default {USERS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "tests.benchmarks.written", str(chosen.users), chosen.json]
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
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
