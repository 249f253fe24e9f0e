"""The REST API and OFREP under gunicorn, beside an empty view; and a thousand users beside the raw SDK.

    python -m tests.benchmarks.api [--json FILE]

Runs on a PostgreSQL and a Redis of its own, which are gone afterwards, with one worker of gunicorn on
loopback and one connection that is kept. The requests are timed in turns; the median of each step counts,
as a ratio to an empty view of REST framework with the same authentication. A thousand users and ten
flags are asked in this process, beside ten thousand raw calls of the SDK and one round trip to Redis.
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
    command = [sys.executable, "-m", "tests.benchmarks.asked", chosen.json]
    with (
        postgres_server() as postgres,
        redis_server() as redis,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {
            **os.environ,
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.socket_url,
            "LAUNCHDARKLY_FLAG_FILE": f"{folder}/flags.json",
            "GUIDON_VAR_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.api_settings",
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
