"""The preview of a changed segment among many users: numbers, and people who enter and leave.

    python -m tests.benchmarks.impact [--users N] [--json FILE]

Runs on a PostgreSQL of its own, which is gone afterwards. The same is asked in the obvious way,
with a query for each number; both must agree and are timed in turns. The best of several runs
counts. That a preview takes less than a second is an aim; the ratio is what can be compared.
"""

from __future__ import annotations

import sys

from tests.benchmarks.on_postgresql import run

if __name__ == "__main__":
    sys.exit(run("previewed", __doc__ or ""))
