"""Open streams of one process: what they cost while nothing happens, and how soon each hears of a write.

    python -m tests.benchmarks.streams [--streams N] [--json FILE]

Runs uvicorn with one process on a PostgreSQL and a Redis of its own. Each stream is of another user. Beside
it: the same number of sockets of a bare asyncio server that writes one message to each.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import own_servers

STREAMS = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=STREAMS, help=f"(default {STREAMS:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    return own_servers.run(
        "streamed",
        str(chosen.streams),
        chosen.json,
        settings="config.settings.development",
        DEBUG="false",
        LIVE_STREAMS=str(chosen.streams + 10),
    )


if __name__ == "__main__":
    sys.exit(main())
