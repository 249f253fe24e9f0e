"""Counting twenty segments among many users: one pass, the same by hand, and one by one.

    python -m tests.benchmarks.counting [--users N] [--json FILE]

Runs on a PostgreSQL of its own, which is gone afterwards. All ways must give the same numbers and
are timed in turns; the best of several runs counts. Read the ratios, not the milliseconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server

USERS = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=USERS, help=f"how many (default {USERS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "tests.benchmarks.counted", str(chosen.users), chosen.json]
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "DATABASE_URL": server.url,
            "REDIS_URL": "",
            "GUIDON_VAR_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
