"""`python -m tests.services.stack`: servers for a command, gone with it whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.services.guarded import HOST
from tests.services.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[2]
GONE_SECONDS = PATIENCE_SECONDS

REPORT = (
    "import json, os, sys; json.dump({**os.environ, 'PID': os.getpid()}, open(sys.argv[1], 'w'))"
)
REPORT_AND_WAIT = f"{REPORT}; import time; time.sleep(600)"


def stack(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """The stack in a process group of its own, as a job of a shell without a terminal."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "GUIDON_TEST_STACK"}
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.services.stack", *command],
        cwd=ROOT,
        env={**inherited, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def read_report(path: Path) -> dict[str, str] | None:
    try:
        report: dict[str, str] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return report


def await_report(path: Path) -> dict[str, str]:
    report = wait_until(lambda: read_report(path), timeout=120, what="the command's report")
    assert report is not None
    return report


def postgres_is_down(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return True
    return False


def redis_is_down(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=60) as client:
        try:
            client.ping()
        except redis.ConnectionError:
            return True
    return False


def await_servers_gone(report: Mapping[str, str]) -> None:
    wait_until(
        lambda: postgres_is_down(report["DATABASE_URL"]), timeout=GONE_SECONDS, what="PostgreSQL"
    )
    wait_until(lambda: redis_is_down(report["REDIS_URL"]), timeout=GONE_SECONDS, what="Redis")


def test_the_command_gets_real_servers_and_its_exit_code_is_kept(tmp_path: Path) -> None:
    probe = (
        "import os, psycopg, redis, sys;"
        "ok = psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT 1').fetchone() == (1,);"
        "ok &= redis.Redis.from_url(os.environ['REDIS_URL']).ping();"
        "ok &= os.environ['GUIDON_TEST_STACK'] == 'production';"
        f"{REPORT};"
        "sys.exit(7 if ok else 1)"
    )
    report = tmp_path / "report"
    code, errors = finished(stack("--", sys.executable, "-c", probe, str(report)))
    assert (code, errors) == (7, "")
    await_servers_gone(await_report(report))


def test_servers_that_are_given_are_used_and_none_is_started(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": f"postgresql://someone@{HOST}:1/theirs",
        "REDIS_URL": f"redis://{HOST}:1/0",
    }
    empty = tmp_path / "servers"
    empty.mkdir()
    report = tmp_path / "report"
    script = f"{REPORT}; sys.exit(len(os.listdir({str(empty)!r})))"
    process = stack(
        *("--", sys.executable, "-c", script, str(report)),
        environment={**given, "TMPDIR": str(empty)},
    )
    assert finished(process) == (0, "")
    assert given.items() <= await_report(report).items()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_the_servers(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "report"
    process = stack("--", sys.executable, "-c", REPORT_AND_WAIT, str(path))
    report = await_report(path)
    process.send_signal(number)
    code, _ = finished(process)
    assert code == 128 + number
    assert postgres_is_down(report["DATABASE_URL"])
    assert redis_is_down(report["REDIS_URL"])
    with pytest.raises(ProcessLookupError):
        os.kill(int(report["PID"]), 0)


def test_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    path = tmp_path / "report"
    process = stack("--", sys.executable, "-c", REPORT_AND_WAIT, str(path))
    report = await_report(path)
    process.kill()
    # The command is nobody's child now, and holds standard error open.
    os.kill(int(report["PID"]), signal.SIGKILL)
    finished(process)
    await_servers_gone(report)
    for url in (report["DATABASE_URL"], report["REDIS_URL"]):
        port = urlsplit(url).port
        assert not [line for line in command_lines() if str(port) in line]


def command_lines() -> list[str]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "args"], check=True, capture_output=True, text=True, timeout=30
    )
    return listing.stdout.splitlines()


@pytest.mark.parametrize(("command", "code"), [((), 2), (("--", "/nowhere/at/all"), 127)])
def test_a_command_that_cannot_run_is_reported(command: tuple[str, ...], code: int) -> None:
    # Nothing listens on port 1: with both given, no server is started for it.
    given = {"DATABASE_URL": f"postgresql://{HOST}:1/x", "REDIS_URL": f"redis://{HOST}:1/0"}
    process = stack(*command, environment=given)
    found, errors = finished(process)
    assert found == code
    assert "usage" in errors or "/nowhere/at/all" in errors
