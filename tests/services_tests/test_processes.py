"""Processes of the test run: awaited, logged, stopped with all that they started, never stray."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.services.guarded import HOST, ServerStartError
from tests.services.processes import (
    ROOT,
    GuidonProcess,
    WebServer,
    celery_worker,
    environment_with,
    manage,
    manage_process,
    python,
    running_server,
)
from tests.services.redis import redis_server
from tests.services.waiting import PATIENCE_SECONDS, wait_until

GONE_SECONDS = PATIENCE_SECONDS

ECHO = "import os, time; print('up', os.environ.get('WORD'), flush=True); time.sleep(600)"

PARENT_OF_A_CHILD = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('child', child.pid, 'ready', flush=True);"
    "time.sleep(600)"
)

OWNER = (
    "import sys, time;"
    "from tests.services.processes import GuidonProcess, python;"
    "process = GuidonProcess(python('-c', sys.argv[1]), {}, ready='ready').__enter__();"
    "print(process.directory, process.log().split()[1], flush=True);"
    "time.sleep(600)"
)


def lives(pid: int) -> bool:
    """A zombie, which nobody has waited for yet, counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def await_gone(pid: int) -> None:
    wait_until(lambda: not lives(pid), timeout=GONE_SECONDS, what=f"the end of {pid}")


# Any process


def test_it_is_awaited_by_its_log_and_gets_its_environment() -> None:
    with GuidonProcess(python("-c", ECHO), {"WORD": "told"}, ready="up") as process:
        assert process.log() == "up told\n"
        process.restart()
        assert process.log() == "up told\nup told\n"
        assert process.exit_code is None
        process.stop()
        assert process.exit_code == 128 + signal.SIGTERM


def test_it_can_be_left_to_end_by_itself() -> None:
    script = "import sys, time; print('up', flush=True); time.sleep(0.3); sys.exit(3)"
    with GuidonProcess(python("-c", script), {}, ready="up") as process:
        assert process.wait() == 3
        assert not process.running


def test_signals_reach_it() -> None:
    script = (
        "import signal, time;"
        "signal.signal(signal.SIGUSR1, lambda *_: print('heard', flush=True));"
        "print('up', flush=True); time.sleep(600)"
    )
    with GuidonProcess(python("-c", script), {}, ready="up") as process:
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: "heard" in process.log(), timeout=GONE_SECONDS, what="the signal")


def test_one_that_ends_at_once_is_an_error_with_its_log() -> None:
    broken = GuidonProcess(python("-c", "raise SystemExit('no such thing')"), {}, ready="up")
    with pytest.raises(ServerStartError, match="no such thing"):
        broken.__enter__()
    assert not broken.directory.exists()


@pytest.mark.parametrize("end", ["stop", "kill", "close"])
def test_what_it_started_ends_with_it(end: str) -> None:
    with GuidonProcess(python("-c", PARENT_OF_A_CHILD), {}, ready="ready") as process:
        child = int(process.log().split()[1])
        assert lives(child)
        getattr(process, end)()
        await_gone(child)


def test_it_ends_with_its_owner_whatever_ends_the_owner() -> None:
    owner = subprocess.Popen(
        python("-c", OWNER, PARENT_OF_A_CHILD), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    directory, child = owner.stdout.readline().split()
    assert lives(int(child))
    owner.kill()
    owner.communicate(timeout=GONE_SECONDS)
    await_gone(int(child))
    wait_until(
        lambda: not Path(directory).exists(), timeout=GONE_SECONDS, what="the folder to be removed"
    )


def test_it_ends_with_its_owner_though_a_fork_of_the_owner_lives_on() -> None:
    forking = OWNER.replace(
        "time.sleep(600)",
        "import os, signal; pid = os.fork(); (time.sleep(600) if pid == 0 else "
        "(print(pid, flush=True), time.sleep(600)))",
    )
    owner = subprocess.Popen(
        python("-c", forking, PARENT_OF_A_CHILD), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    child = int(owner.stdout.readline().split()[1])
    fork = int(owner.stdout.readline())
    try:
        owner.kill()
        owner.wait(GONE_SECONDS)
        await_gone(child)
        assert lives(fork)
    finally:
        os.kill(fork, signal.SIGKILL)
        owner.stdout.close()


def test_the_environment_is_ours_without_what_would_mislead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEPT", "yes")
    monkeypatch.setenv("TAKEN", "away")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings.testing")
    monkeypatch.setenv("http_proxy", "http://proxy")
    found = environment_with({"TAKEN": None, "ADDED": "too"})
    assert (found["KEPT"], found["ADDED"]) == ("yes", "too")
    assert not {"TAKEN", "DJANGO_SETTINGS_MODULE", "http_proxy"} & found.keys()


# Guidon


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """The embedded default, whatever stack the tests run on."""
    return {
        "DATABASE_URL": None,
        "REDIS_URL": None,
        "CELERY_BROKER_URL": None,
        "GUIDON_IGNORE_DOTENV": "1",
        "GUIDON_VAR_DIR": str(tmp_path_factory.mktemp("var")),
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
    }


@pytest.fixture(scope="module")
def migrated(embedded: dict[str, str | None]) -> dict[str, str | None]:
    done = manage(embedded, "migrate", "--verbosity=0")
    assert done.returncode == 0, done.stderr
    return embedded


@pytest.mark.parametrize("server", ["dev", "gunicorn", "uvicorn"])
def test_guidon_is_served_stopped_and_served_again(
    migrated: dict[str, str | None], server: WebServer
) -> None:
    with running_server(migrated, server=server, path="/admin/login/") as web:
        url = f"{web.url}/admin/login/"
        with urllib.request.urlopen(url, timeout=30) as response:
            assert b"csrfmiddlewaretoken" in response.read()
        web.stop()
        with socket.socket() as probe:
            assert probe.connect_ex((HOST, web.port)) != 0
        web.start()
        assert f"{web.url}/admin/login/" == url
        with urllib.request.urlopen(url, timeout=30) as response:
            assert response.status == 200


def test_gunicorn_workers_do_not_outlive_their_killed_master(
    migrated: dict[str, str | None],
) -> None:
    options = ("--workers=2", "--preload")
    with running_server(migrated, server="gunicorn", options=options, path="/admin/login/") as web:

        def workers_of() -> list[int]:
            return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", web.log())]

        # The first worker may answer before the second one has started.
        wait_until(lambda: len(workers_of()) == 2, what="two workers")
        workers = workers_of()
        web.kill()
        for worker in workers:
            await_gone(worker)


def test_a_port_can_be_chosen(migrated: dict[str, str | None]) -> None:
    with running_server(migrated, path="/admin/login/") as first:
        port = first.port
    with running_server(migrated, port, path="/admin/login/") as second:
        assert second.url == f"http://{HOST}:{port}"


def test_a_command_gives_its_output_and_its_exit_code(embedded: dict[str, str | None]) -> None:
    fine = manage(embedded, "shell", "--command", "print('from Django')")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "from Django" in fine.stdout
    assert manage(embedded, "no_such_command").returncode != 0


def test_a_command_that_goes_on_is_awaited(embedded: dict[str, str | None]) -> None:
    script = "import time; print('now'); time.sleep(600)"
    with manage_process(embedded, "shell", "--command", script, ready="now") as command:
        assert command.running


def test_a_celery_worker_takes_tasks_until_it_is_stopped(embedded: dict[str, str | None]) -> None:
    with redis_server() as broker:
        env = {**embedded, "CELERY_BROKER_URL": broker.url, "REDIS_URL": broker.url}
        with celery_worker(env, "--concurrency=1") as worker:
            pong = subprocess.run(
                python("-m", "celery", "-A", "config", "inspect", "ping"),
                check=False,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=environment_with(env),
                timeout=60,
            )
            assert "pong" in pong.stdout, pong.stderr
            worker.stop()
            assert worker.exit_code == 0, worker.log()


def test_it_runs_on_this_python() -> None:
    assert python("x") == [sys.executable, "x"]
