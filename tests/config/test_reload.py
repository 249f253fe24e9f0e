"""gunicorn under `config/gunicorn.py`: a reload leaves no moment without an answer."""

from __future__ import annotations

import http.client
import re
import signal
import threading
from pathlib import Path

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


def test_docker_waits_longer_than_gunicorn() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    found = re.search(
        r"^graceful_timeout = (\d+)$", (ROOT / "config/gunicorn.py").read_text(), re.MULTILINE
    )
    assert found is not None
    for name in ("web", "worker"):
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > int(found[1])
