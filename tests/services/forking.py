"""Many processes of one program that loads it once: to fork takes a hundredth of a start.

The program calls `fork_processes(serve)` when it has loaded everything. Each child serves lines of text over a
socket of its own, whose path is the line that asked for it.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.services.processes import Piped
from tests.services.waiting import PATIENCE_SECONDS

Serve = Callable[[IO[str], IO[str]], None]
"""What a child does: it reads lines, and answers with lines."""


class Forking(Piped):
    """The process that forks. It ends with its block; its children end with their own."""

    def __init__(self, env: Mapping[str, str | None], module: str) -> None:
        super().__init__(env, "-m", module)


class Forked:
    """A child of such a process."""

    def __init__(self, parent: Forking) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="forked-") as folder,
            socket.socket(socket.AF_UNIX) as listening,
        ):
            path = Path(folder) / "socket"
            listening.bind(str(path))
            listening.listen(1)
            listening.settimeout(PATIENCE_SECONDS)
            parent.write_line(str(path))
            self._link, _ = listening.accept()
        self._link.settimeout(PATIENCE_SECONDS)
        self._lines, self._answers = self._link.makefile("w"), self._link.makefile("r")
        self.pid = int(self.read_line())

    def write_line(self, line: str = "") -> None:
        """Raises OSError if it has ended."""
        print(line, file=self._lines, flush=True)

    def read_line(self) -> str:
        """The next line with its end; an empty text once it has ended."""
        try:
            return self._answers.readline()
        except ConnectionError:
            return ""

    def send_signal(self, number: signal.Signals) -> None:
        """Unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> None:
        self.send_signal(signal.SIGKILL)
        for each in (self._lines, self._answers, self._link):
            with suppress(OSError):
                each.close()


def fork_processes(serve: Serve) -> None:
    """Fork one for each line of the standard input, until that ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # No buffer: a child would have what the parent has read ahead.
    with open(0, "rb", buffering=0) as asked:
        while path := asked.readline().decode().strip():
            if not os.fork():
                asked.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _serve_at(path, serve)


def _serve_at(path: str, serve: Serve) -> None:
    """In the child, which never comes back from here."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        answers = link.makefile("w")
        print(os.getpid(), file=answers, flush=True)
        serve(link.makefile("r"), answers)
    os._exit(0)
