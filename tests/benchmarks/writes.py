"""What noticing writes costs: each write with the triggers, beside Django's own without any.

    python -m tests.benchmarks.writes [--users N] [--json FILE]

Runs on a PostgreSQL and a Redis of its own. Both sides write the same rows through Django, in turns; the
best of several runs counts. Afterwards it counts the queries of reads, which no write may multiply.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import own_servers

USERS = 200_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=USERS, help=f"how many (default {USERS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    users = str(chosen.users)
    return own_servers.run("written", users, chosen.json, settings="config.settings.testing")


if __name__ == "__main__":
    sys.exit(main())
