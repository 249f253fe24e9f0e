"""Counting twenty segments among many users: one pass, the same by hand, and one by one.

    python -m tests.benchmarks.counting [--users N] [--json FILE]

Runs on a PostgreSQL of its own, which is gone afterwards. All ways must give the same numbers and
are timed in turns; the best of several runs counts. Read the ratios, not the milliseconds.
"""

from __future__ import annotations

import sys

from tests.benchmarks.on_postgresql import run

if __name__ == "__main__":
    sys.exit(run("counted", __doc__ or ""))
