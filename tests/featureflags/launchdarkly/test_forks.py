"""Forked processes are as alive as their parents: 30 under load, hundreds in `make test-deep`."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from celery import Celery

from tests.profiles import DEEP
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import GuidonProcess, celery_worker, python, run_python
from tests.services.redis import redis_server
from tests.services.variables import of_embedded
from tests.services.waiting import PATIENCE_SECONDS, wait_until

FORKS = 200 if DEEP else 30
"""For each of the two ways to fork."""
PROBES = "tests.featureflags.launchdarkly.probes"
WORKERS = 2
SECONDS = PATIENCE_SECONDS


def contexts_sent(server: LaunchDarklyServer) -> set[str]:
    """The keys of the contexts in the events that arrived."""
    return {event["context"]["key"] for event in server.events("index")}


@pytest.mark.parametrize("way", ["os", "process"])
def test_forks_under_load_neither_hang_nor_freeze(
    server: LaunchDarklyServer, tmp_path: Path, way: str
) -> None:
    env = of_embedded(server, tmp_path)
    program = ("-m", f"{PROBES}.forking", str(FORKS), way)
    done = run_python(env, *program, timeout=SECONDS + 5 * FORKS)
    assert done.stdout.splitlines() == ["ok"] * FORKS, done.stderr
    assert done.returncode == 0
    assert {f"child-{number}" for number in range(FORKS)} <= contexts_sent(server), (
        "no event is lost"
    )


def answers(url: str) -> dict[int, int]:
    """What each worker says; asked until all have answered."""
    seen: dict[int, int] = {}

    def all_answered() -> bool:
        with urllib.request.urlopen(url, timeout=30) as response:
            answer = json.load(response)
        seen[answer["pid"]] = answer["value"]
        return len(seen) == WORKERS

    wait_until(all_answered, timeout=SECONDS, what="an answer of each worker")
    return seen


@pytest.mark.parametrize(
    "options", [(), ("--threads=2",), ("--preload",)], ids=["plain", "threads", "preload"]
)
def test_gunicorn_s_workers_are_live_and_lose_no_event(
    server: LaunchDarklyServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    env = of_embedded(server, tmp_path, PROBE_EARLY="1" if "--preload" in options else "")
    with Gunicorn(env, options) as web:
        first = answers(web.url)
        assert all(isinstance(value, int) for value in first.values())
        wait_until(
            lambda: all(value > first[pid] for pid, value in answers(web.url).items()),
            timeout=SECONDS,
            what="a live change in each worker",
        )
        web.stop()
        assert web.exit_code == 0, web.log()
    assert {f"worker-{pid}" for pid in first} <= contexts_sent(server)


class Gunicorn(GuidonProcess):
    """The probe behind gunicorn; ready when its workers are booted."""

    name = "gunicorn"

    def __init__(self, env: dict[str, str | None], options: tuple[str, ...]) -> None:
        super().__init__([], env)
        self._options = options

    def command(self) -> list[str]:
        self._log_before = len(self.log())
        return python(
            *("-m", "gunicorn", f"--bind=127.0.0.1:{self.port}", f"--workers={WORKERS}"),
            *(*self._options, f"{PROBES}.web:wsgi"),
        )

    def is_ready(self) -> bool:
        return self.log()[self._log_before :].count("Booting worker with pid") >= WORKERS


def test_celery_s_pool_is_live_and_loses_no_event(
    server: LaunchDarklyServer, tmp_path: Path
) -> None:
    """Stopped when it is idle. Celery forgets a task whose start it has not read yet when it stops;
    the process that did it then waits for half a minute (billiard's `_ensure_messages_consumed`)
    before it ends, with or without LaunchDarkly.
    """
    with redis_server() as broker:
        written = tmp_path / "written"
        # The settings' broker too: without one Celery's loggers write only warnings, not "ready".
        brokers = {"PROBE_BROKER": broker.url, "CELERY_BROKER_URL": broker.url}
        env = of_embedded(server, tmp_path, PROBE_EARLY="1", PROBE_FILE=str(written), **brokers)
        queue = Celery(broker=broker.url, set_as_current=False)
        with celery_worker(env, "--concurrency=2", app=f"{PROBES}.tasks") as worker:
            seen: dict[str, set[str]] = {}
            sent: list[str] = []

            def lines() -> list[str]:
                return written.read_text().splitlines() if written.exists() else []

            def both_saw_a_change() -> bool:
                sent.append(queue.send_task("probe.ask").id)
                for line in lines():
                    pid, value = line.split()
                    seen.setdefault(pid, set()).add(value)
                return len(seen) == WORKERS and all(len(values) > 1 for values in seen.values())

            wait_until(both_saw_a_change, timeout=SECONDS, what="a live change in each process")
            all_done = f"all of {len(sent)} tasks to be done"
            wait_until(lambda: len(lines()) == len(sent), timeout=SECONDS, what=all_done)
            wait_until(lambda: is_idle(queue), timeout=SECONDS, what="Celery to know it")
            worker.stop()
            assert worker.exit_code == 0, worker.log()
        queue.close()
    assert not {"None"} & set().union(*seen.values())
    assert {f"worker-{pid}" for pid in seen} <= contexts_sent(server)


def is_idle(queue: Celery) -> bool:
    """Whether the one worker says that it has no task left, neither waiting nor under way."""
    worker = queue.control.inspect(timeout=SECONDS, limit=1)
    answers = [worker.reserved(), worker.active()]
    return all(answer and not any(answer.values()) for answer in answers)
