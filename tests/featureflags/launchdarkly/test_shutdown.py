"""However a process ends, what it recorded is delivered, and it ends in time."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.signals import worker_process_shutdown, worker_shutdown
from pytest_django.fixtures import Settings

from config import asgi
from featureflags.launchdarkly.client import current_clients
from tests.featureflags.launchdarkly.asking import ask
from tests.services.flag_json import flag
from tests.services.guarded import KILLED, free_port
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import GuidonProcess, celery_worker, python, run_python
from tests.services.redis import redis_server
from tests.services.variables import of_embedded
from tests.services.waiting import PATIENCE_SECONDS, wait_until

PROBES = "tests.featureflags.launchdarkly.probes"
SECONDS = PATIENCE_SECONDS
IMPATIENT = {"DJANGO_SETTINGS_MODULE": "tests.featureflags.launchdarkly.impatient"}
"""The process waits for a shorter time than by default. That one is tried with a command."""


@pytest.fixture
def env(service: LaunchDarklyServer, tmp_path: Path) -> dict[str, str | None]:
    service.set_flag(flag("counter", [1], on=True, fallthrough=0, off_variation=0))
    return of_embedded(service, tmp_path)


def contexts_sent(server: LaunchDarklyServer) -> list[str]:
    return [event["context"]["key"] for event in server.events("index")]


def test_a_command_that_ends(env: dict[str, str | None], service: LaunchDarklyServer) -> None:
    done = run_python(env, "-m", f"{PROBES}.ending", timeout=SECONDS)
    assert (done.returncode, done.stdout) == (0, "asked 1\n"), done.stderr
    assert contexts_sent(service) == ["short"]


def test_a_command_that_ends_while_events_are_refused(
    env: dict[str, str | None], service: LaunchDarklyServer
) -> None:
    """The SDK's own close would wait for ever."""
    service.hang(paths=["/bulk"])
    done = run_python(env, "-m", f"{PROBES}.ending", timeout=SECONDS)
    assert done.returncode == 0
    assert "did not close in time" in done.stderr


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_a_server_that_ends_while_events_are_taken_and_never_acknowledged(
    env: dict[str, str | None], service: LaunchDarklyServer, server: str
) -> None:
    """The events endpoint is frozen: an orchestrator must not have to kill the process."""
    port = free_port()
    command, ready = {
        "gunicorn": (["gunicorn", f"--bind=127.0.0.1:{port}", f"{PROBES}.web:wsgi"], "Booting"),
        "uvicorn": (["uvicorn", f"--port={port}", f"{PROBES}.web:asgi"], "Uvicorn running on"),
    }[server]
    with GuidonProcess(python("-m", *command), {**env, **IMPATIENT}, ready=ready) as process:
        wait_until(lambda: answers(port), what="an answer")
        service.hang(paths=["/bulk"])
        process.stop()
        assert process.exit_code != KILLED, process.log()
        assert "did not close in time" in process.log()
        assert "SIGKILL" not in process.log(), "gunicorn did not have to end its worker"
    assert contexts_sent(service) == []


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=30) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.production_stack
def test_a_worker_of_celery_that_ends_while_events_are_never_acknowledged(
    env: dict[str, str | None], service: LaunchDarklyServer, tmp_path: Path
) -> None:
    with redis_server() as broker:
        written = tmp_path / "seen"
        brokers = {"PROBE_BROKER": broker.url, "CELERY_BROKER_URL": broker.url}
        env = {**env, **IMPATIENT, **brokers, "PROBE_FILE": str(written)}
        with celery_worker(env, "--concurrency=1", app=f"{PROBES}.tasks") as worker:
            Celery(broker=broker.url, set_as_current=False).send_task("probe.ask")
            wait_until(lambda: " succeeded in " in worker.log(), what="the task")
            service.hang(paths=["/bulk"])
            worker.stop()
            assert worker.exit_code != KILLED, worker.log()
            assert "did not close in time" in worker.log()
    assert contexts_sent(service) == []


def test_a_command_that_gets_a_signal_to_end(
    env: dict[str, str | None], service: LaunchDarklyServer
) -> None:
    command = python("-m", f"{PROBES}.ending", "wait")
    with GuidonProcess(command, env, ready="asked 1") as process:
        process.stop()
        assert process.exit_code == 143, process.log()
    assert contexts_sent(service) == ["short"]


def test_an_asgi_server_that_gets_a_signal_to_end(
    env: dict[str, str | None], service: LaunchDarklyServer
) -> None:
    """uvicorn ends by a signal, after all is said: `atexit` never runs."""
    port = free_port()
    command = python(*("-m", "uvicorn", "--host=127.0.0.1", f"--port={port}", f"{PROBES}.web:asgi"))
    with GuidonProcess(command, env, ready="Uvicorn running on") as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=30) as response:
            pid = json.load(response)["pid"]
        server.stop()
    assert contexts_sent(service) == [f"worker-{pid}"]


async def test_our_asgi_application_closes_the_client_when_the_server_ends(
    connected: LaunchDarklyServer,
) -> None:
    await asyncio.to_thread(ask)
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: list[str] = []

    async def send(message: Any) -> None:
        said.append(message["type"])

    for kind in ("startup", "shutdown"):
        messages.put_nowait({"type": f"lifespan.{kind}"})
    await asgi.application({"type": "lifespan"}, messages.get, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert current_clients(start=False) is None
    assert contexts_sent(connected) == ["ada"]


@pytest.mark.parametrize("signal", [worker_process_shutdown, worker_shutdown])
def test_celery_s_processes_close_it(
    connected: LaunchDarklyServer, settings: Settings, signal: Any
) -> None:
    ask()
    signal.send(sender=None)
    assert current_clients(start=False) is None
    assert contexts_sent(connected) == ["ada"]
