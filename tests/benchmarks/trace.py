"""The way of three journeys through our code: a check, a segment saved, a warm-up by Celery.

    python -m tests.benchmarks.trace [--json FILE] [--show "a check by key"]

Not a clock: it counts the functions of `config`, `featureflags` and `users` that are called, the modules
that they are in, and how often a call is in another module than the one before it. The fewer changes, the
easier the way is to read.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import own_servers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", default="", help="also write the figures to this file")
    parser.add_argument("--show", default="", help="print each call of the journeys so named")
    chosen = parser.parse_args()
    arguments = (chosen.json, chosen.show)
    settings = "tests.benchmarks.settings"
    return own_servers.run("traced", *arguments, settings=settings, by_socket=True)


if __name__ == "__main__":
    sys.exit(main())
