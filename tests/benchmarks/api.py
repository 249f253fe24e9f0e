"""The REST API and OFREP under gunicorn, beside an empty view; and a thousand users beside the raw SDK.

    python -m tests.benchmarks.api [--json FILE]

Runs on a PostgreSQL and a Redis of its own, which are gone afterwards, with one worker of gunicorn on
loopback and one connection that is kept. The requests are timed in turns; the median of each step counts,
as a ratio to an empty view of REST framework with the same authentication. A thousand users and ten
flags are asked in this process, beside ten thousand raw calls of the SDK and one round trip to Redis.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import own_servers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    return own_servers.run(
        "asked",
        chosen.json,
        settings="tests.benchmarks.api_settings",
        by_socket=True,
        LAUNCHDARKLY_FLAG_FILE="{folder}/flags.json",
    )


if __name__ == "__main__":
    sys.exit(main())
