"""Forks while threads match: `python -m tests.featureflags.segments.forking COUNT`.

Each round has expressions that RE2 has yet to learn. A child must match with expressions of its own;
one that hangs is killed. Writes one line for each child, `ok` or what went wrong.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time

from featureflags.segments.regexes import Regex

CHILD_SECONDS = 60
MATCHES = 30
THREADS = 4


def text() -> str:
    return "".join(random.choices("abcdef0123x", k=300))


class Matching:
    """An expression that threads match all the time."""

    regex: Regex

    def go_on(self) -> None:
        while True:
            self.regex.found_in(text())


def child(regex: Regex) -> None:
    signal.alarm(CHILD_SECONDS)
    code = 1
    try:
        inherited = regex._compiled
        for _ in range(MATCHES):
            regex.found_in(text())
        code = 0 if regex._compiled is not inherited else 2
    finally:
        os._exit(code)


def main(count: int) -> None:
    matching = Matching()
    matching.regex = Regex("x")
    for _ in range(THREADS):
        threading.Thread(target=matching.go_on, daemon=True).start()
    for number in range(count):
        matching.regex = Regex(rf"(a|b)*c(d|e)+f[0-9]{{2,5}}.*x{number}$")
        # Not in step with the threads.
        time.sleep(0.002 * random.random())
        pid = os.fork()
        if pid == 0:
            child(matching.regex)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print("ok" if code == 0 else f"failed with {code}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
