"""Both test runs of `make test`, with a summary: `python -m tests.run [PYTEST OPTIONS]`.

The first run uses the embedded default (SQLite and files), the second real PostgreSQL and Redis.
Tests that touch neither database nor cache run in the first only, browser tests in the second
only. Each run prints its ten slowest tests. A failure in either run fails the whole.

Options such as `tests/users -k last_seen` choose a part of the tests. A part may be empty on one
of the stacks, but not on both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.browser.chromium import MISSING, find_chromium

WORKERS = ("-n", "2", "--dist", "worksteal")
"""As many as the processors of CI: with one more, the chaos tests miss their bounds. A worker that has nothing left
takes tests from the other."""
SLOWEST = ("--durations=10", "--durations-min=1")
PYTEST = (sys.executable, "-m", "pytest", "-q", *WORKERS, *SLOWEST)
STACK = (sys.executable, "-m", "tests.services.stack", "--")

EMBEDDED = "not production_stack and not browser"
PRODUCTION = "not embedded_stack and not pure"

SERVERS = ("DATABASE_URL", "REDIS_URL")
CHOICES = ("CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "GUIDON_VAR_DIR", "GUIDON_TEST_STACK")
CHOICE_PREFIXES = ("LAUNCHDARKLY_", "FORCE_FLAG_")
"""Variables that a developer's shell may hold, and that no test may depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    name: str
    exit_code: int
    summary: str
    """pytest's last line."""
    seconds: float

    @property
    def is_empty(self) -> bool:
        """No test of this stack was chosen."""
        return self.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED

    def __str__(self) -> str:
        if self.is_empty:
            verdict = "no test chosen"
        elif self.exit_code == 0:
            verdict = "ok"
        else:
            verdict = f"FAILED (exit code {self.exit_code})"
        return f"{self.name}: {verdict}, {self.seconds:.0f} s: {self.summary}"


def without_choices(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables that no test may depend on."""
    return {
        name: value
        for name, value in environment.items()
        if name not in CHOICES and not name.startswith(CHOICE_PREFIXES)
    }


def embedded_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, and without the servers that it names."""
    clean = without_choices(environment)
    return {name: value for name, value in clean.items() if name not in SERVERS}


def runs(environment: Mapping[str, str], options: Sequence[str]) -> list[Run]:
    """The two runs. Only the second one uses the servers that the environment names."""
    return [
        Run(
            name="embedded (SQLite, files)",
            command=[*PYTEST, "-m", EMBEDDED, *options],
            environment=embedded_environment(environment),
        ),
        Run(
            name="production stack (PostgreSQL, Redis)",
            command=[*STACK, *PYTEST, "-m", PRODUCTION, *options],
            environment=without_choices(environment),
        ),
    ]


def execute(run: Run) -> Outcome:
    """Run it, and pass its output on as it comes."""
    print(f"\n=== {run.name}", flush=True)
    began = time.monotonic()
    last = "no output"
    with subprocess.Popen(
        run.command, env=run.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    seconds = time.monotonic() - began
    return Outcome(name=run.name, exit_code=process.returncode, summary=last, seconds=seconds)


def main(options: Sequence[str]) -> int:
    outcomes = [execute(run) for run in runs(os.environ, options)]
    print("\n=== Both runs")
    for outcome in outcomes:
        print(outcome)
    if find_chromium() is None:
        print(MISSING)
    chosen = [outcome for outcome in outcomes if not (options and outcome.is_empty)]
    return 0 if chosen and not any(outcome.exit_code for outcome in chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
