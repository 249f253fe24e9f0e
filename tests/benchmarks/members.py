"""A page of a segment's member list among many users: the first, one in the middle, and filtered.

    python -m tests.benchmarks.members [--users N] [--json FILE]

Runs on a PostgreSQL of its own, which is gone afterwards. Beside it: what a paginator asks
for: a count of all members, and the rows of the same page by OFFSET. Both must list the same users.
"""

from __future__ import annotations

import sys

from tests.benchmarks.on_postgresql import run

if __name__ == "__main__":
    sys.exit(run("listed", __doc__ or ""))
