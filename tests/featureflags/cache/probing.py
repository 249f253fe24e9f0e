"""Starts probes (see `probe`) on this test's database and cache, and ends them with the test."""

from __future__ import annotations

import json
import os
import subprocess
from types import TracebackType
from typing import Any, Self

from django.db import connection

from tests.services.processes import ROOT, environment_with, python

END_SECONDS = 30.0


class ProbeDiedError(Exception):
    """The process ended before it answered; a test may have told it to."""


class Probe:
    """Another process: `probe.ask(key)` is done there, and answered here."""

    def __init__(self, **environment: str) -> None:
        variables = {
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
            **environment,
        }
        self._process = subprocess.Popen(
            python("-m", "tests.featureflags.cache.probe"),
            cwd=ROOT,
            env=environment_with(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def do(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Have it done, and wait for the answer. Raises ProbeDiedError if the process ends."""
        self.tell(name, *arguments, **options)
        return self._answer()

    def tell(self, name: str, *arguments: Any, **options: Any) -> None:
        """Have it done, without waiting."""
        assert self._process.stdin is not None
        print(json.dumps([name, arguments, options]), file=self._process.stdin, flush=True)

    def dies(self, name: str, *arguments: Any) -> None:
        """Have something done of which the process dies, and wait until it has."""
        self.tell(name, *arguments)
        self.has_died()

    def has_died(self) -> None:
        """Wait until the process has died of what it was told."""
        try:
            answer = self._answer()
        except ProbeDiedError:
            self._process.wait(END_SECONDS)
            return
        raise AssertionError(f"it is alive, and says {answer!r}")

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProbeDiedError
        return json.loads(line)


def database_url() -> str:
    """Where this test's own database is found. It must be transactional."""
    name = connection.settings_dict["NAME"]
    given = os.environ.get("DATABASE_URL", "")
    return f"{given.rpartition('/')[0]}/{name}" if given else f"sqlite:///{name}"
