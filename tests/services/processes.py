"""Guidon's own processes for tests: the one place where a test starts one.

| what | how |
|---|---|
| a program or command that ends by itself | `run_python`, `manage` |
| one that the test writes to, reads from, signals or kills | `piped` |
| a server or worker that is awaited until it is ready | `running_server`, `celery_worker`, `manage_process` |

They start as users start them, from the project's folder, with the environment of the test run plus
what the test gives (`on_this_database()` for the rows of the test itself). None outlives its test.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from django.db import connection

from tests.services.guarded import HOST, GuardedServer

ROOT = Path(__file__).resolve().parents[2]
PROBE_SECONDS = 5.0
COMMAND_SECONDS = 120.0

NOT_INHERITED = {
    # The process has settings of its own, and must not use a proxy for loopback.
    *("DJANGO_SETTINGS_MODULE", "http_proxy", "https_proxy", "all_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
}

WebServer = Literal["dev", "gunicorn", "uvicorn"]


def environment_with(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of the test run with these changes; None removes a variable."""
    inherited = {name: text for name, text in os.environ.items() if name not in NOT_INHERITED}
    # Write at once what a test waits for.
    merged: dict[str, str | None] = {**inherited, "PYTHONUNBUFFERED": "1", **changes}
    return {name: text for name, text in merged.items() if text is not None}


def dev_command(port: int, options: Sequence[str]) -> list[str]:
    return python("manage.py", "runserver", "--noreload", *options, f"{HOST}:{port}")


def gunicorn_command(port: int, options: Sequence[str]) -> list[str]:
    bind = f"--bind={HOST}:{port}"
    return python("-m", "gunicorn", bind, *options, "config.wsgi:application")


def uvicorn_command(port: int, options: Sequence[str]) -> list[str]:
    address = (f"--host={HOST}", f"--port={port}")
    return python("-m", "uvicorn", *address, *options, "config.asgi:application")


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


COMMANDS: Mapping[WebServer, Callable[[int, Sequence[str]], list[str]]] = {
    "dev": dev_command,
    "gunicorn": gunicorn_command,
    "uvicorn": uvicorn_command,
}


class GuidonProcess(GuardedServer):
    """One of our processes. It is ready when it has written `ready` (at once, if that is empty)."""

    name = "guidon"
    stop_signal = signal.SIGTERM
    folder = ROOT

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str | None], ready: str = ""
    ) -> None:
        super().__init__()
        self._command = list(command)
        self._ready = ready
        self._log_before = 0
        self.environment = environment_with(env)

    @property
    def url(self) -> str:
        """The address of a web server, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Does nothing: the project's folder exists."""

    def command(self) -> list[str]:
        # Called once for each start: the output of earlier starts does not count.
        self._log_before = len(self.log())
        return self._command

    def is_ready(self) -> bool:
        return self._ready in self.log()[self._log_before :]

    def kill(self) -> None:
        """Send SIGKILL to the main process, and then to the processes that it started."""
        self._end(signal.SIGKILL)


class WebProcess(GuidonProcess):
    """Guidon behind one of the web servers. It is ready when it sends any answer."""

    name = "web"

    def __init__(
        self,
        env: Mapping[str, str | None],
        *,
        port: int | None,
        server: WebServer,
        options: Sequence[str],
        path: str,
        folder: Path = ROOT,
    ) -> None:
        super().__init__([], env)
        self.folder = folder
        self.port = port or self.port
        self._port_is_settled = port is not None
        self._server = server
        self._options = options
        self._path = path

    def command(self) -> list[str]:
        return COMMANDS[self._server](self.port, self._options)

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", self._path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


def running_server(
    env: Mapping[str, str | None],
    port: int | None = None,
    *,
    server: WebServer = "dev",
    options: Sequence[str] = (),
    path: str = "/",
    folder: Path = ROOT,
) -> WebProcess:
    """A context manager: Guidon on `port` (by default a free one), ready when `path` is answered.

    `options` are the web server's own (`("--workers=2", "--preload")`). Databases are migrated by
    the caller, see `manage`. `folder` is the project's, of another release too.
    """
    return WebProcess(env, port=port, server=server, options=options, path=path, folder=folder)


class WorkerProcess(GuidonProcess):
    """A Celery worker. The end of its test kills it: to end by itself takes it two seconds. A test of its end
    calls `stop`."""

    def close(self) -> None:
        self.kill()
        super().close()


def celery_worker(
    env: Mapping[str, str | None], *options: str, app: str = "config"
) -> WorkerProcess:
    """A context manager: a Celery worker that takes tasks; `options` such as `--concurrency=2`.

    It does not look for other workers when it starts: it would wait a second for their answers.
    """
    alone = ("--without-mingle", "--without-gossip")
    command = python("-m", "celery", "-A", app, "worker", "--loglevel=INFO", *alone, *options)
    return WorkerProcess(command, env, ready=" ready.")


def manage_process(env: Mapping[str, str | None], *arguments: str, ready: str) -> GuidonProcess:
    """A context manager: a command that runs on. It is ready when it has written `ready`."""
    return GuidonProcess(python("manage.py", *arguments), env, ready)


def run_python(
    env: Mapping[str, str | None],
    *arguments: str,
    timeout: float = COMMAND_SECONDS,
    stderr: int = subprocess.PIPE,
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end: exit code, output and errors, for the test to judge.

    `arguments` are Python's own: `"-c", program`, `"-m", module` or a file, and what they take.
    `stderr` may be a terminal. Raises `subprocess.TimeoutExpired` after `timeout` seconds; the
    process is killed then.
    """
    return subprocess.run(
        python(*arguments),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=folder,
        env=environment_with(env),
        timeout=timeout,
    )


def manage(
    env: Mapping[str, str | None],
    *arguments: str,
    timeout: float = COMMAND_SECONDS,
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run a command of `manage.py` to its end; see `run_python`."""
    return run_python(env, "manage.py", *arguments, timeout=timeout, folder=folder)


class Piped(subprocess.Popen[str]):
    """Python with pipes for input, output and errors; killed at the end of its `with` block."""

    def __init__(
        self,
        env: Mapping[str, str | None],
        *arguments: str,
        errors: bool = False,
        folder: Path = ROOT,
    ) -> None:
        """Errors go to the test's own output, or to a pipe of their own with `errors`."""
        super().__init__(
            python(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if errors else None,
            text=True,
            cwd=folder,
            env=environment_with(env),
        )

    def __exit__(self, *_exception: object) -> None:
        self.end()

    def write_line(self, line: str = "") -> None:
        assert self.stdin is not None
        print(line, file=self.stdin, flush=True)

    def read_line(self) -> str:
        """The next line with its end; an empty text when the process has closed its output."""
        assert self.stdout is not None
        line: str = self.stdout.readline()
        return line

    def end(self) -> None:
        """SIGKILL, unless it has ended, and the pipes closed."""
        self.kill()
        self.communicate()


def on_this_database() -> dict[str, str | None]:
    """For a process on the database of the running test, which must be transactional."""
    name = str(connection.settings_dict["NAME"])
    given = os.environ.get("DATABASE_URL")
    return {
        "DATABASE_URL": f"{given.rpartition('/')[0]}/{name}" if given else f"sqlite:///{name}",
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
    }
