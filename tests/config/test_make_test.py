"""`make test`, its parts, and the run of CI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import run
from tests.browser.chromium import MISSING, PATH_VARIABLE, REQUIRED_VARIABLE
from tests.clients.node import REQUIRED as NODE_REQUIRED
from tests.config.make import MAKE
from tests.services.processes import ROOT, environment_with


def test_what_make_test_checks() -> None:
    assert MAKE is not None
    plan = subprocess.run(
        ["make", "--dry-run", "test"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    steps = ("ruff check", "ruff format --check", "mypy", "lint-imports", "makemigrations --check")
    positions = [plan.index(step) for step in (*steps, "tests.run")]
    assert positions == sorted(positions)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_pytest_finds_the_project_from_its_root_without_a_variable() -> None:
    ended = subprocess.run(
        [
            Path(sys.executable).with_name("pytest"),
            "-q",
            "--collect-only",
            "tests/config/test_run.py",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment_with({"PYTHONPATH": None, "GUIDON_TEST_WORKER": None}),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_two_runs_and_what_each_of_them_takes() -> None:
    environment = {
        "PATH": "/bin",
        "DATABASE_URL": "postgres://x",
        "REDIS_URL": "redis://x",
        "FORCE_FLAG_X": "true",
        "LAUNCHDARKLY_SDK_KEY": "sdk-1",
    }
    embedded, production = run.runs(environment, ["-x"])
    assert embedded.environment == {"PATH": "/bin"}
    assert production.environment == {
        "PATH": "/bin",
        "DATABASE_URL": "postgres://x",
        "REDIS_URL": "redis://x",
    }
    assert "not production_stack and not browser" in embedded.command
    assert "not embedded_stack and not pure" in production.command
    assert "tests.services.stack" in production.command
    assert embedded.command[-1] == production.command[-1] == "-x"
    assert "--durations=10" in embedded.command


@pytest.fixture
def two_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace both runs by programs that say something and end with these exit codes."""
    codes = [0, 0]

    def runs(environment: Mapping[str, str], _options: object) -> list[run.Run]:
        return [
            run.Run(
                name=name,
                command=[sys.executable, "-c", f"print('{name} says'); raise SystemExit({code})"],
                environment=environment,
            )
            for name, code in zip(("first", "second"), codes, strict=True)
        ]

    monkeypatch.setattr(run, "runs", runs)
    return codes


def test_a_part_of_the_tests_is_chosen_by_options_and_skips_the_checks() -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "test", "ARGS=tests/users -k seen"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    assert "-m tests.run tests/users -k seen" in plan
    assert "mypy" not in plan


@pytest.mark.parametrize(
    ("codes", "options", "expected"),
    [((5, 0), ["-k", "x"], 0), ((5, 5), ["-k", "x"], 1), ((5, 1), ["-k", "x"], 1), ((0, 5), [], 1)],
)
def test_a_part_may_be_empty_on_one_stack_but_not_on_both(
    two_runs: list[int], codes: tuple[int, int], options: list[str], expected: int
) -> None:
    two_runs[:] = codes
    assert run.main(options) == expected


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 0), 0), ((1, 0), 1), ((0, 2), 1), ((3, 0), 1)]
)
def test_one_failure_fails_the_whole_and_both_runs_are_summarised(
    two_runs: list[int],
    capsys: pytest.CaptureFixture[str],
    codes: tuple[int, int],
    expected: int,
) -> None:
    two_runs[:] = codes
    assert run.main([]) == expected
    summary = capsys.readouterr().out.partition("=== Both runs\n")[2]
    assert re.findall(r"^(\w+): (ok|FAILED)", summary, re.MULTILINE) == [
        (name, "FAILED" if code else "ok")
        for name, code in zip(("first", "second"), codes, strict=True)
    ]
    assert "first says" in summary


def ci_run(folder: Path, *programs: str) -> tuple[int, dict[str, str], list[list[str]]]:
    """`.ci/run` with these programs replaced by ones that only note how they were called: its exit
    code, the environment that `make` saw, and the calls in their order."""
    note = '#!/bin/sh\necho "$(basename "$0") $*" >> "$HOME/calls"\n'
    for name in ("make", *programs):
        extra = 'env > "$HOME/seen"; exit 3\n' if name == "make" else ""
        (folder / name).write_text(note + extra)
        (folder / name).chmod(0o755)
    # Real programs but Chromium: whether this machine has it must not matter.
    for name in ("bash", "env", "sh", "basename", "dirname", "mktemp", "rm"):
        (folder / name).symlink_to(shutil.which(name) or name)
    env = environment_with(
        {
            "PATH": str(folder),
            "HOME": str(folder),
            "FORCE_FLAG_X": "true",
            "DATABASE_URL": "postgres://x",
        }
    )
    ended = subprocess.run([ROOT / ".ci" / "run"], check=False, env=env, timeout=60)
    seen = dict(line.split("=", 1) for line in (folder / "seen").read_text().splitlines())
    calls = [line.split() for line in (folder / "calls").read_text().splitlines()]
    return ended.returncode, seen, calls


def test_ci_keeps_nothing_of_the_environment_but_the_way_to_python(tmp_path: Path) -> None:
    code, seen, calls = ci_run(tmp_path, "chromium", "node", "npm")
    assert code == 3
    assert not {"FORCE_FLAG_X", "DATABASE_URL", "GUIDON_VAR_DIR"} & set(seen)
    [(program, target, venv)] = calls
    assert (program, target) == ("make", "test")
    fresh = Path(venv.removeprefix("VENV="))
    assert fresh.is_absolute()
    assert not fresh.exists()


def test_ci_installs_a_browser_and_node_and_fails_without_one(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    _, seen, calls = ci_run(tmp_path, "apt-get")
    assert [call[:2] for call in calls[:2]] == [["apt-get", "update"], ["apt-get", "install"]]
    assert {"chromium", "nodejs", "npm"} <= set(calls[1])
    assert calls[2][:2] == ["make", "test"]
    assert seen[REQUIRED_VARIABLE]
    assert seen[NODE_REQUIRED]


@pytest.mark.parametrize("is_required", [False, True])
def test_without_a_browser_the_run_prints_it_and_fails_where_it_is_required(
    is_required: bool,
) -> None:
    changes = {
        PATH_VARIABLE: "/there/is/no/chromium",
        REQUIRED_VARIABLE: "1" if is_required else None,
        "GUIDON_TEST_WORKER": None,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/browser/test_watching.py", "-k", "expected"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment_with(changes),
        timeout=120,
    )
    assert (ended.returncode != 0) == is_required, ended.stdout
    assert MISSING in ended.stdout
    assert ("1 skipped" in ended.stdout) != is_required


def test_the_summary_of_both_runs_has_it_too(
    two_runs: list[int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATH_VARIABLE, "/there/is/no/chromium")
    assert run.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == MISSING
