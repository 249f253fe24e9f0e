"""Previews of large tables: an estimate at once, beside the exact count; and how often it is right.

    python -m tests.benchmarks estimates [--rows N] [--json FILE]

Runs on a PostgreSQL of its own, which is gone afterwards. The users lie in the order of time, as in a
real table, with a run of imported ones among them. Each rule is previewed quickly and counted exactly;
then fresh samples are drawn, and the share of their 99 % intervals that hold the exact number is shown.
"""

from __future__ import annotations

import sys

from tests.benchmarks.on_postgresql import run

if __name__ == "__main__":
    sys.exit(run("estimated", __doc__ or ""))
