"""Users with related rows and their organizations, compared with users alone and with the raw SDK.

    python -m tests.benchmarks.kinds [--json FILE]

Runs on a PostgreSQL and a Redis of its own, on one core, as `checks` does. The users are those of
`tests.customers`, with integer keys.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server
from tests.services.redis import redis_server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "tests.benchmarks.kinds_measured", chosen.json]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with (
        postgres_server() as postgres,
        redis_server() as redis,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {
            **os.environ,
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.socket_url,
            "REDIS_TCP_URL": redis.url,
            "GUIDON_VAR_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
