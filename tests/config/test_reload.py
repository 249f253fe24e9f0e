"""gunicorn under `config/gunicorn.py`: a reload leaves no moment without an answer."""

from __future__ import annotations

import http.client
import os
import queue
import re
import signal
import threading
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.services.processes import ROOT, running_server
from tests.services.waiting import wait_until

CONFIG = "--config=config/gunicorn.py"
PAUSE_SECONDS = 0.02
MEANWHILE = 10
"""Visits: old workers that end at once answer one or two."""


def pids(log: str) -> list[str]:
    return re.findall(r"Booting worker with pid: (\d+)", log)


class Visitor(threading.Thread):
    """Asks again and again."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._ending = threading.Event()
        self.failures: list[str] = []
        self.answers = 0

    def run(self) -> None:
        while not self._ending.wait(PAUSE_SECONDS):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
                connection.request("GET", "/healthz")
                status = connection.getresponse().status
                connection.close()
                if status != 200:
                    self.failures.append(str(status))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            self.answers += 1

    def end(self) -> None:
        self._ending.set()
        self.join()


def test_a_reload_leaves_no_gap(tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": None,
        "REDIS_URL": None,
        "CELERY_BROKER_URL": None,
        "GUIDON_VAR_DIR": str(tmp_path),
        "WEB_CONCURRENCY": "2",
    }
    with running_server(env, server="gunicorn", options=(CONFIG,), path="/healthz") as web:
        wait_until(lambda: len(pids(web.log())) == 2, what="two workers")
        old = pids(web.log())
        visitor = Visitor(web.port)
        visitor.start()
        wait_until(lambda: visitor.answers, what="an answer")
        web.send_signal(signal.SIGHUP)
        before = visitor.answers

        def gone() -> int:
            return sum(f"Worker exiting (pid: {pid})" in web.log() for pid in old)

        wait_until(gone, what="an old worker's end")
        # The old ones have answered while the new ones loaded the application, which takes seconds.
        assert visitor.answers - before >= MEANWHILE
        wait_until(lambda: gone() == len(old), what="the old workers' end")
        assert len(pids(web.log())) == 4, "no more, no fewer"
        before = visitor.answers
        wait_until(lambda: visitor.answers > before + MEANWHILE, what="answers of the new ones")
        visitor.end()
        assert visitor.failures == []
        assert len(pids(web.log())) == 4
        # And once more: the workers of the reload are old ones now.
        web.send_signal(signal.SIGHUP)
        wait_until(lambda: len(pids(web.log())) == 6, what="newer workers")
        # Those that are still loading end at once by it.
        web.stop_signal = signal.SIGQUIT


class Master:
    """What a reload asks of gunicorn's master: it counts workers, and `manage_workers` ends what is too many."""

    def __init__(self) -> None:
        self.num_workers = 2
        self.WORKERS = dict.fromkeys(range(2))
        self.managed: queue.Queue[int] = queue.Queue()

    def reload(self, hooks: dict[str, Any]) -> tuple[int, int]:
        """As SIGHUP: the configured number, the hook, and as many new workers. The pipe that they write to."""
        self.num_workers = 2
        hooks["on_reload"](self)
        self.WORKERS |= dict.fromkeys(range(len(self.WORKERS), len(self.WORKERS) + 2))
        pipe: tuple[int, int] = hooks["_ready"]
        return pipe

    def manage_workers(self) -> None:
        self.managed.put(self.num_workers)


def test_a_reload_within_a_reload_keeps_every_worker_until_the_newest_are_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment may signal twice: the workers of the first reload are not ready when the second begins."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    hooks = hooks_of_gunicorn()
    master = Master()
    first = master.reload(hooks)
    assert master.num_workers == 4
    second = master.reload(hooks)
    assert master.num_workers == len(master.WORKERS) == 6, "nobody ends yet"
    with suppress(OSError):
        os.write(first[1], b"11")
    with pytest.raises(queue.Empty):
        master.managed.get(timeout=1)
    hooks["post_worker_init"](None)
    os.write(second[1], b"1")
    assert master.managed.get(timeout=30) == 2
    assert hooks["_ready"] is None
    hooks["post_worker_init"](None)


def test_figures_lie_in_memory_and_go_with_the_master(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files are mapped: on a disk that is full a write is the end of the process."""
    for inherited in ("", "/dev/shm/guidon-metrics-1-of-another-master"):
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", inherited)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        hooks = hooks_of_gunicorn()
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        if hooks["_memory"] is not None:
            assert folder.parent == Path("/dev/shm")
        hooks_of_gunicorn()
        assert Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) == folder, "a reload keeps it"
        hooks["on_exit"](None)
        assert not folder.exists()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    hooks_of_gunicorn()["on_exit"](None)
    assert tmp_path.exists(), "that of the operator stays"


def hooks_of_gunicorn() -> dict[str, Any]:
    """config/gunicorn.py, loaded as gunicorn does."""
    spec = spec_from_file_location("gunicorn_hooks", ROOT / "config/gunicorn.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def test_docker_waits_longer_than_gunicorn() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    found = re.search(
        r"^graceful_timeout = (\d+)$", (ROOT / "config/gunicorn.py").read_text(), re.MULTILINE
    )
    assert found is not None
    for name in ("web", "worker"):
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > int(found[1])
