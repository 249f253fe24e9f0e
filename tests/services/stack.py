"""Run a command on real servers: `python -m tests.services.stack -- COMMAND…`.

Starts PostgreSQL and Redis where DATABASE_URL and REDIS_URL are not set, exports both and
GUIDON_TEST_STACK=production to the command, and ends the servers with it. The exit code is the
command's (128 plus the signal that ended it). SIGTERM and SIGHUP are passed on to the command; so
is Ctrl-C, unless the terminal has sent it already.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

from tests.services.postgres import postgres_server
from tests.services.redis import redis_server

USAGE = "usage: python -m tests.services.stack -- COMMAND…"
USAGE_ERROR = 2
NOT_FOUND = 127
END_SECONDS = 60.0
"""How long a command may take to end after the signal (the rest of a test, its teardown)."""

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked us to end. Not an `Exception`, so that no handler on the way catches it."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def raise_interrupted(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the clean-up. After a SIGKILL the guards end the servers.
    for passed_on in PASSED_ON:
        signal.signal(passed_on, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number))


def terminal_sent_it(number: signal.Signals) -> bool:
    """True if the terminal has sent this signal to our command too (Ctrl-C does)."""
    if number is not signal.SIGINT:
        return False
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def as_exit_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def run_command(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run the command until it ends or we must. Returns the exit code as a shell gives it."""
    try:
        process = subprocess.Popen(command, env=environment)
    except (FileNotFoundError, PermissionError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return NOT_FOUND
    try:
        return as_exit_code(process.wait())
    except Interrupted as interrupted:
        if not terminal_sent_it(interrupted.number):
            process.send_signal(interrupted.number)
        return as_exit_code(process.wait(END_SECONDS))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_on_stack(command: Sequence[str]) -> int:
    environment = {**os.environ, "GUIDON_TEST_STACK": "production"}
    with ExitStack() as servers:
        if not environment.get("DATABASE_URL"):
            environment["DATABASE_URL"] = servers.enter_context(postgres_server()).url
        if not environment.get("REDIS_URL"):
            environment["REDIS_URL"] = servers.enter_context(redis_server()).url
        return run_command(command, environment)


def main(argv: Sequence[str]) -> int:
    command = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not command:
        print(USAGE, file=sys.stderr)
        return USAGE_ERROR
    for number in PASSED_ON:
        signal.signal(number, raise_interrupted)
    try:
        return run_on_stack(command)
    except Interrupted as interrupted:
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
