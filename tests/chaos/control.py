"""A site that asks nobody: how long it takes is what the machine does to every answer.

    python -m tests.chaos.control PORT

Each answer costs some processor time, as a page does. The load asks it beside Guidon, so that a bound
is not broken by what else the machine has to do.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BURN_SECONDS = 0.03
"""Of the processor, for each answer."""


class Control(BaseHTTPRequestHandler):
    """Answers any GET."""

    def do_GET(self) -> None:
        """Work a little, and answer."""
        until = time.thread_time() + BURN_SECONDS
        while time.thread_time() < until:
            pass
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing."""


if __name__ == "__main__":
    print("ready", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Control).serve_forever()
