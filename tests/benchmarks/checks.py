"""One flag check, step by step, beside the raw SDK call and beside what peers do.

    python -m tests.benchmarks.checks [--json FILE]

Runs on a PostgreSQL and a Redis of its own, which are gone afterwards. All steps are timed in
turns within one process, the best of several runs counts, and each is given as a ratio to one raw
`client.variation` on the SDK's own store. Read the ratios, not the microseconds.

Redis is asked through its Unix socket, on the core on which the checks run: what is left is our
work and Redis' own. How long the way to it takes besides is a matter of the machine (a core that
sleeps is woken up first); it is measured too, by TCP, on the same core and on another one.
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.benchmarks import own_servers


def main(doc: str, measures: str) -> int:
    """Start the servers, and run the module that measures on one core; its exit code."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    settings = "tests.benchmarks.settings"
    return own_servers.run(measures, chosen.json, settings=settings, by_socket=True)


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", "checked"))
