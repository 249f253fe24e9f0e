"""Starts probes (see `probe`) on this test's database and cache, and ends them with the test."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.services.processes import Piped, on_this_database
from tests.services.waiting import PATIENCE_SECONDS

MODULE = "tests.featureflags.cache.probe"


class ProbeDiedError(Exception):
    """The process ended before it answered; a test may have asked it to."""


class Forked:
    """A child of the one process that has loaded everything. Speaks as `Piped` does."""

    def __init__(self) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="probe-") as folder,
            socket.socket(socket.AF_UNIX) as listening,
        ):
            path = Path(folder) / "socket"
            listening.bind(str(path))
            listening.listen(1)
            listening.settimeout(PATIENCE_SECONDS)
            forking().write_line(str(path))
            self._link, _ = listening.accept()
        self._link.settimeout(PATIENCE_SECONDS)
        self._lines, self._answers = self._link.makefile("w"), self._link.makefile("r")
        self.pid = 0

    def write_line(self, line: str) -> None:
        print(line, file=self._lines, flush=True)

    def read_line(self) -> str:
        try:
            return self._answers.readline()
        except ConnectionError:
            return ""

    def wait(self, _seconds: float) -> None:
        """Its socket was closed: it has ended."""

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for each in (self._lines, self._answers, self._link):
            with suppress(OSError):
                each.close()


@cache
def forking() -> Piped:
    """The process that forks the probes of this database. It ends with the tests."""
    process = Piped(on_this_database(), "-m", MODULE, "fork")
    atexit.register(process.end)
    return process


class Probe:
    """Another process: `probe.ask(key)` is done there, and answered here."""

    def __init__(self, **environment: str) -> None:
        """With variables of its own it is started, else forked."""
        self._process: Piped | Forked
        if environment:
            self._process = Piped({**on_this_database(), **environment}, "-m", MODULE)
            self._answer()
        else:
            self._process = Forked()
            self._process.pid = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.end()

    def do(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Have it done, and wait for the answer. Raises ProbeDiedError if the process ends."""
        self.send(name, *arguments, **options)
        return self._answer()

    def send(self, name: str, *arguments: Any, **options: Any) -> None:
        """Have it done, without waiting."""
        self._process.write_line(json.dumps([name, arguments, options]))

    def dies(self, name: str, *arguments: Any) -> None:
        """Have something done of which the process dies, and wait until it has."""
        self.send(name, *arguments)
        self.has_died()

    def has_died(self) -> None:
        """Wait until the process has died of what it was sent."""
        try:
            answer = self._answer()
        except ProbeDiedError:
            self._process.wait(PATIENCE_SECONDS)
            return
        raise AssertionError(f"it is alive, and answers {answer!r}")

    def _answer(self) -> Any:
        line = self._process.read_line()
        if not line:
            raise ProbeDiedError
        return json.loads(line)
