"""Real uWSGI, which forks in C: Python's own hooks do not run there."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from featureflags.core import fork_hooks
from tests.featureflags.launchdarkly.test_forks import PROBES, WORKERS, answers
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import GuidonProcess, python
from tests.services.variables import of_embedded
from tests.services.waiting import PATIENCE_SECONDS, wait_until

SECONDS = PATIENCE_SECONDS


class UWSGI(GuidonProcess):
    """The probe behind uWSGI; ready when its workers are spawned."""

    name = "uwsgi"

    def __init__(self, env: dict[str, str | None], options: tuple[str, ...]) -> None:
        super().__init__([], env)
        self._options = options

    def command(self) -> list[str]:
        self._log_before = len(self.log())
        start = "import pyuwsgi, sys; pyuwsgi.run(sys.argv[1:])"
        return python(
            *("-c", start, f"--http-socket=127.0.0.1:{self.port}", "--master", "--need-app"),
            *(f"--processes={WORKERS}", "--die-on-term", "--buffer-size=16384"),
            *(*self._options, f"--module={PROBES}.web:wsgi"),
        )

    def is_ready(self) -> bool:
        log = self.log()[self._log_before :]
        is_lazy = "--lazy-apps" in self._options
        ready = r"WSGI app 0 .* ready" if is_lazy else r"spawned uWSGI worker"
        return len(re.findall(ready, log)) >= WORKERS


@pytest.mark.parametrize("how", ["preload", "lazy-apps"])
def test_its_workers_hear_of_changes(server: LaunchDarklyServer, tmp_path: Path, how: str) -> None:
    """With preload nothing asks for a flag before the fork.

    uWSGI forks without Python's lock. A thread of the master that holds it at that moment, such as
    one of LaunchDarkly's, leaves it locked in the worker for ever. No code of ours runs before the
    fork, so the documentation describes what a project must do.
    """
    options = ("--enable-threads", *(("--lazy-apps",) if how == "lazy-apps" else ()))
    with UWSGI(of_embedded(server, tmp_path), options) as web:
        first = answers(web.url)
        assert all(isinstance(value, int) for value in first.values()), web.log()
        wait_until(
            lambda: all(value > first[pid] for pid, value in answers(web.url).items()),
            timeout=SECONDS,
            what="a live change in each worker",
        )
        assert "AttributeError" not in web.log()
        assert "Traceback" not in web.log()


def test_the_hook_of_uwsgi_runs_what_python_s_hooks_would(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    server = SimpleNamespace(post_fork_hook=lambda: ran.append("the project's own"))
    monkeypatch.setitem(sys.modules, "uwsgi", server)
    monkeypatch.setattr(fork_hooks, "_callbacks", [lambda: ran.append("ours")])
    fork_hooks._join_uwsgi()
    server.post_fork_hook()
    assert ran == ["the project's own", "ours"]


def test_without_threads_it_logs_what_to_do(server: LaunchDarklyServer, tmp_path: Path) -> None:
    """uWSGI runs no threads unless an option allows it: LaunchDarkly's would never hear of a change."""
    with UWSGI(of_embedded(server, tmp_path), ("--lazy-apps",)) as web:
        with urllib.request.urlopen(web.url, timeout=SECONDS) as response:
            json.load(response)
        assert web.log().count("--enable-threads") == 1, web.log()
