"""Starts probes (see `probe`) on this test's database and cache, and ends them with the test."""

from __future__ import annotations

import atexit
import json
from functools import cache
from types import TracebackType
from typing import Any, Self

from tests.services.forking import Forked, Forking
from tests.services.processes import on_this_database

MODULE = "tests.featureflags.cache.probe"


class ProbeDiedError(Exception):
    """The process ended before it answered; a test may have asked it to."""


@cache
def forking(**environment: str) -> Forking:
    """The process that forks the probes of this database and environment. It ends with the tests."""
    process = Forking({**on_this_database(), **environment}, MODULE)
    atexit.register(process.end)
    return process


class Probe:
    """Another process: `probe.ask(key)` is done there, and answered here."""

    def __init__(self, **environment: str) -> None:
        self._process = Forked(forking(**environment))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.end()

    def do(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Have it done, and wait for the answer. Raises ProbeDiedError if the process ends."""
        self.send(name, *arguments, **options)
        return self._answer()

    def send(self, name: str, *arguments: Any, **options: Any) -> None:
        """Have it done, without waiting."""
        self._process.write_line(json.dumps([name, arguments, options]))

    def dies(self, name: str, *arguments: Any) -> None:
        """Have something done of which the process dies, and wait until it has."""
        self.send(name, *arguments)
        self.has_died()

    def has_died(self) -> None:
        """Wait until the process has died of what it was sent."""
        try:
            answer = self._answer()
        except ProbeDiedError:
            return
        raise AssertionError(f"it is alive, and answers {answer!r}")

    def _answer(self) -> Any:
        line = self._process.read_line()
        if not line:
            raise ProbeDiedError
        return json.loads(line)
