"""Users with related rows and integer keys: warmed, counted and previewed, beside what one writes by hand.

    python -m tests.benchmarks.related [--users N] [--json FILE]

Runs on a PostgreSQL and a Redis of its own, which are gone afterwards. The users are those of
`tests.customers`: two joins lead to their plan and their company, and a subquery to their last order. What is
written by hand is a pipeline that writes the same bytes, and SQL that gives the same numbers, or nothing is
measured. All ways take turns in one process, and the best of several runs counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server
from tests.services.redis import redis_server

USERS = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=USERS, help=f"how many (default {USERS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    module = "tests.benchmarks.related_measured"
    command = [sys.executable, "-m", module, str(chosen.users), chosen.json]
    with (
        postgres_server() as database,
        redis_server() as cache,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {
            **os.environ,
            "DATABASE_URL": database.url,
            "REDIS_URL": cache.url,
            "GUIDON_VAR_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
