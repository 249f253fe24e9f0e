"""Warming the cache: ours beside the naive loop and a pipeline written by hand.

    python -m tests.benchmarks.warming [--users N] [--json FILE]

Runs on a PostgreSQL and a Redis of its own, which are gone afterwards. Each way is a process of its
own, and warms all users in turns with the others; the best of several runs counts. The naive loop
(instances, and a `set` of Django's own Redis backend for each) is given the first 10,000 alone.
What is written by hand does the same work (groups, segments with their members, comparing before
writing, no older row over a newer write) and writes the same bytes, or nothing is measured.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import own_servers

USERS = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--users",
        type=int,
        default=USERS,
        help=f"how many at most (default {USERS:,}): it begins with fewer, to show the growth",
    )
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    return own_servers.run(
        "warmed",
        str(chosen.users),
        chosen.json,
        settings="config.settings.development",
        # Or Django would keep the queries of each process.
        DEBUG="false",
        LOG_LEVEL="WARNING",
    )


if __name__ == "__main__":
    sys.exit(main())
