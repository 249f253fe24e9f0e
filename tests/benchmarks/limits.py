"""A segment at its limits: 4,000 conditions in 200 rules, with 300 users.

    python -m tests.benchmarks.limits [--users N] [--json FILE]

Runs on a PostgreSQL of its own, which is gone afterwards. It builds the query of the segment, asks for its
preview as staff who may only look, and saves it over REST. The best of several runs counts; the processor's
time is that of this process.
"""

from __future__ import annotations

import sys

from tests.benchmarks.on_postgresql import run

if __name__ == "__main__":
    sys.exit(run("limited", __doc__ or "", users=300))
