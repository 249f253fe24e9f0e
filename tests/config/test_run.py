"""What `make run` and `make test` do, step by step as the Makefile says it."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.config.make import MAKE
from tests.services.guarded import HOST
from tests.services.processes import ROOT, GuidonProcess, manage
from tests.services.waiting import wait_until

NO_SERVERS: Mapping[str, str | None] = {
    **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "LAUNCHDARKLY_SDK_KEY")),
    "GUIDON_IGNORE_DOTENV": "1",
}


def served(venv: Path, var_dir: Path) -> GuidonProcess:
    process = GuidonProcess([], {**NO_SERVERS, "GUIDON_VAR_DIR": str(var_dir)}, "Quit the server")
    process._command = ["make", "run", f"VENV={venv}", f"PORT={process.port}"]
    return process


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_make_run_serves_the_demo_and_running_it_again_loses_nothing(
    venv: Path, tmp_path: Path
) -> None:
    var_dir = tmp_path / "var"
    with served(venv, var_dir) as first:
        log = first.log()
        for path in ("/", "/admin/", "/api/v1/docs/", "/docs/"):
            assert f"  http://127.0.0.1:{first.port}{path} " in log
        assert "ada@agpt.co" in log
        assert "password: demo" in log
        assert "Try this" in log
        assert str(var_dir / "flags.json") in log
        assert "celery" not in log.lower()
        assert "INFO" not in log
        assert never_run(var_dir) == set(), "the overdue tasks ran"
        url = f"http://{HOST}:{first.port}/"
        assert {"slate", "green", "violet", "amber"} <= accents(url)
        flags = var_dir / "flags.json"
        flags.write_text(flags.read_text().replace('"amber"', '"crimson"'))
        wait_until(lambda: "crimson" in accents(url), what="the edited flag file")
    before = stored(var_dir)
    assert len(before["users_user"]) == 4
    with sqlite3.connect(var_dir / "db.sqlite3") as database:
        database.execute("UPDATE users_user SET name = 'Edited' WHERE email = 'ada@agpt.co'")
        database.execute("DELETE FROM users_user WHERE email = 'nina@example.com'")
    database.close()
    (var_dir / "flags.json").write_text('{"flags": {}, "flagValues": {"mine": true}}')
    edited = stored(var_dir)
    with served(venv, var_dir) as second:
        assert "so the demo was not loaded" in second.log()
    assert stored(var_dir) == edited
    assert json.loads((var_dir / "flags.json").read_text())["flagValues"] == {"mine": True}


def never_run(var_dir: Path) -> set[str]:
    """The tasks of the schedule that never ran, by name. Those of each minute are soon due again."""
    env = {**NO_SERVERS, "GUIDON_VAR_DIR": str(var_dir)}
    listed = manage(env, "run_due_tasks", "--list", "--json")
    assert listed.returncode == 0, listed.stderr
    return {task["name"] for task in json.loads(listed.stdout) if task["last_run_at"] is None}


def test_what_running_needs_is_part_of_what_testing_needs() -> None:
    """`make run`, `make docs` and `make test` share one .venv, in any order."""
    everything = pins("dev")
    for name in ("base", "docs"):
        assert pins(name), name
        assert not pins(name) - everything, name
    plan = subprocess.run(
        ["make", "--dry-run", "run", "VENV=/there/is/none"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    assert "requirements/base.txt" in plan
    assert "requirements/dev.txt" not in plan


def pins(name: str) -> set[str]:
    """`package==version` of a file of requirements."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9.-]+==[^ \\]+)", text, re.MULTILINE))


def accents(url: str) -> set[str]:
    """The values of the flag `accent-colour` on the home page, of all people who are shown."""
    with urllib.request.urlopen(url) as page:
        return set(re.findall(r'data-accent="(\w+)"', page.read().decode()))


def stored(var_dir: Path) -> dict[str, list[object]]:
    tables = ("users_user", "featureflags_segment", "featureflags_segmentmember")
    with sqlite3.connect(var_dir / "db.sqlite3") as database:
        found = {
            table: database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in tables
        }
    database.close()
    return {table: list(rows) for table, rows in found.items()}


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_without_a_fitting_python_make_names_what_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "python-of-yore"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    ended = subprocess.run(
        ["make", "run", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert ended.returncode != 0
    assert "needs Python 3.11 or newer" in ended.stderr
    assert str(old) in ended.stderr
    assert not (tmp_path / "venv").exists()
