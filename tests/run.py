"""Both test runs of `make test`, and one line about each: `python -m tests.run [PYTEST OPTIONS]`.

First on the embedded default (SQLite and files), then on real PostgreSQL and Redis. Tests that
touch neither database nor cache run in the first alone, those in a browser in the second alone.
Whatever fails in either fails the whole.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.browser.chromium import MISSING, find_chromium

WORKERS = ("-n", "2")
PYTEST = (sys.executable, "-m", "pytest", "-q", *WORKERS)
STACK = (sys.executable, "-m", "tests.services.stack", "--")

SERVERS = ("DATABASE_URL", "REDIS_URL")
CHOICES = ("CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "GUIDON_VAR_DIR", "GUIDON_TEST_STACK")
CHOICE_PREFIXES = ("LAUNCHDARKLY_", "FORCE_FLAG_")
"""What a developer's shell may hold, and no test may depend on."""


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

    def __str__(self) -> str:
        verdict = "ok" if self.exit_code == 0 else f"FAILED (exit code {self.exit_code})"
        return f"{self.name}: {verdict}, {self.seconds:.0f} s: {self.summary}"


def runs(environment: Mapping[str, str], options: Sequence[str]) -> list[Run]:
    """The two runs. The servers that the environment names are used by the second alone."""
    clean = {
        name: value
        for name, value in environment.items()
        if name not in CHOICES and not name.startswith(CHOICE_PREFIXES)
    }
    without_servers = {name: value for name, value in clean.items() if name not in SERVERS}
    return [
        Run(
            name="embedded (SQLite, files)",
            command=[*PYTEST, "-m", "not production_stack and not browser", *options],
            environment=without_servers,
        ),
        Run(
            name="production stack (PostgreSQL, Redis)",
            command=[*STACK, *PYTEST, "-m", "not embedded_stack and not pure", *options],
            environment=clean,
        ),
    ]


def execute(run: Run) -> Outcome:
    """Run it with its output passed on as it comes."""
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
    return 1 if any(outcome.exit_code for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
