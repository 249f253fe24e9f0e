"""A server process in a temporary directory: start, stop, kill, pause and start again.

This module knows processes, ports and files. It knows no server's protocol.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.waiting import PATIENCE_SECONDS, wait_until

GUARD = Path(__file__).with_name("guard.py")
HOST = "127.0.0.1"

PORTS = range(20_000, 32_000)
"""Below the range that Linux uses for outgoing connections (from 32,768): no connection takes the
port of a server that is stopped."""

START_SECONDS = PATIENCE_SECONDS
STOP_SECONDS = 60.0
KILLED = 128 + signal.SIGKILL
"""The exit code of a server that did not end within `STOP_SECONDS` of the signal to end."""
PORT_TRIES = 3


class ServerStartError(RuntimeError):
    """A server did not start, or ended by itself. The message has its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that a server runs as."""

    uid: int
    gid: int


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    while not is_free(port := random.choice(PORTS)):
        pass
    return port


class GuardedServer(ABC):
    """One server, which keeps its port and its directory from start to start.

    A context manager: it starts on entry; on exit it stops and its directory is removed.
    """

    name: str
    stop_signal: signal.Signals
    account: Account | None = None
    environment: Mapping[str, str] | None = None
    """The whole environment of the server; None means that of this process."""

    folder: Path | None = None
    """The working directory of the server; None means its own directory."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"guidon-{self.name}-"))
        self.port = free_port()
        self._owner = os.getpid()
        self._guard: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._port_is_settled = False
        self.exit_code: int | None = None
        """The exit code of the last run, as a shell gives it (128 plus a signal); None while it runs."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the server answers, in the form that Django's settings take."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line, in the foreground, on `self.port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """True once the server answers a request."""

    @abstractmethod
    def prepare(self) -> None:
        """Called once, before the first start."""

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start on the same port and with the same data; return when it answers.

        Raises `ServerStartError`, and `RuntimeError` if it is running already.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        if self._port_is_settled:
            self._start_once()
            return
        for attempt in range(1, PORT_TRIES + 1):
            try:
                self._start_once()
            except ServerStartError:
                if attempt == PORT_TRIES or is_free(self.port):
                    raise
                # Another process took the port between the look and the start.
                self.port = free_port()
            else:
                self._port_is_settled = True
                return

    def stop(self) -> None:
        """Stop the server and wait for its end. Its data stay. Does nothing if it is not running."""
        self.resume()
        self._end(self.stop_signal)

    def restart(self) -> None:
        """Stop and start: same port, same data."""
        self.stop()
        self.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process; return once it is sent. Does nothing if none runs."""
        if self._line is None:
            return
        try:
            self._line.sendall(f"{number.name}\n".encode("ascii"))
            # An answer, or the end of the socket: then the server and its guard have ended.
            self._line.recv(64)
        except (BrokenPipeError, ConnectionResetError):
            # The server ended meanwhile.
            return

    def pause(self) -> None:
        """Freeze the process: the kernel still accepts connections, but nothing answers."""
        self.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self.send_signal(signal.SIGCONT)

    def wait(self, timeout: float = STOP_SECONDS) -> int:
        """Wait until the server ends by itself; its exit code. Raises `TimeoutError`."""
        wait_until(lambda: not self.running, timeout=timeout, what=f"the end of {self.name}")
        self._forget()
        return 0 if self.exit_code is None else self.exit_code

    def log(self) -> str:
        """The output of the server since its first start."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """Stop and remove the directory. Does nothing in a forked child of the owner."""
        if os.getpid() != self._owner:
            return
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start_once(self) -> None:
        self._forget()
        self._guard = self._spawn()
        try:
            wait_until(self._answers, timeout=START_SECONDS, what=f"{self.name} to answer")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        if not self.running:
            raise ServerStartError(f"{self.name} ended while it started:\n{self.log()}")
        return self.is_ready()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.exit_code = None
        account = self.account
        run_as = () if account is None else (f"--user={account.uid}", f"--group={account.gid}")
        self._line, theirs = socket.socketpair()
        self._line.settimeout(STOP_SECONDS)
        with theirs, (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(GUARD)),
                    f"--owner={os.getpid()}",
                    f"--end={self.stop_signal.name}",
                    f"--remove={self.directory}",
                    f"--folder={self.folder or self.directory}",
                    *run_as,
                    "--",
                    *self.command(),
                ],
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env=None if self.environment is None else dict(self.environment),
                start_new_session=True,
            )

    def _end(self, number: signal.Signals) -> None:
        guard = self._guard
        if guard is None:
            return
        self.send_signal(number)
        try:
            guard.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)
            guard.wait(STOP_SECONDS)
        self._forget()

    def _forget(self) -> None:
        if self._guard is not None:
            self.exit_code = self._guard.poll()
        if self._line is not None:
            self._line.close()
        self._guard = self._line = None
