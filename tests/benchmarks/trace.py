"""The way of three journeys through our code: a check, a segment saved, a warm-up by Celery.

    python -m tests.benchmarks.trace [--json FILE] [--show "a check by key"]

Not a clock: it counts the functions of `config`, `featureflags` and `users` that are called, the modules
that they are in, and how often a call is in another module than the one before it. The fewer changes, the
easier the way is to read.
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
    parser.add_argument("--show", default="", help="print each call of the journeys so named")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "tests.benchmarks.traced", chosen.json, chosen.show]
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
