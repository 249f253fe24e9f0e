"""Users with related rows and integer keys: warmed, counted and previewed, beside what one writes by hand.

    python -m tests.benchmarks.related [--users N] [--json FILE]

Runs on a PostgreSQL and a Redis of its own, which are gone afterwards. The users are those of
`tests.customers`: two joins lead to their plan and their company, and a subquery to their last order. What is
written by hand is a pipeline that writes the same bytes, and SQL that gives the same numbers, or nothing is
measured. All ways take turns in one process, and the best of several runs counts.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import own_servers

USERS = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=USERS, help=f"how many (default {USERS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    users, settings = str(chosen.users), "config.settings.testing"
    return own_servers.run("related_measured", users, chosen.json, settings=settings)


if __name__ == "__main__":
    sys.exit(main())
