"""The processes of the stress test, and how old the answers are meanwhile."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import pytest

from featureflags.cache import entries, protocol
from featureflags.kinds.registry import kinds
from featureflags.kinds.snapshot import Address, Snapshot, address, kind_and_key
from tests.services.forking import Forked, Forking

ROLES = (("reader", 0), ("reader", 1), ("writer", 0), ("writer", 1), ("warmer", 0))
"""Each with its release: two serve side by side."""
STALE = "STALE"
"""What a process writes that has found an old entry."""
PROMISED_SECONDS = 5.0
"""How soon everybody sees what another program has written, or a process that stopped or died."""


class OldAnswerError(Exception):
    """An answer is older than promised."""


class Crew:
    """Processes of these roles, which work within `at_work()`, and end with the block."""

    def __init__(self, forking: Forking, without: str = "", *, world: str = "users") -> None:
        self._forking, self._without, self._world = forking, without, world
        self._seeds = iter(range(1_000_000))
        self._processes: dict[int, tuple[str, Forked]] = {}
        self.rounds: dict[str, int] = {role: 0 for role, _ in ROLES}

    def __enter__(self) -> Crew:
        for place in range(len(ROLES)):
            self._start(place)
        for _, process in self._processes.values():
            assert process.read_line() == "ready\n"
        return self

    def __exit__(self, *_exception: object) -> None:
        for _, process in self._processes.values():
            process.end()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """They work until the end of the block, and have finished what they did.

        Raises OldAnswerError if one of them has found an old entry.
        """
        self._tell_all()
        yield
        self._tell_all()
        for role, process in self._processes.values():
            line = process.read_line()
            answer = process.read_line() if line == "ready\n" else line
            if answer.startswith(STALE):
                raise OldAnswerError(answer)
            assert answer.strip().isdigit(), answer or f"a {role} has failed"
            self.rounds[role] += int(answer)

    @contextmanager
    def one_paused(self) -> Iterator[None]:
        """SIGSTOP one of them, wherever it is, until the end of the block."""
        _, process = random.choice(list(self._processes.values()))
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def kill_one(self) -> None:
        """SIGKILL one of them, wherever it is, and start another in its place."""
        place = random.randrange(len(ROLES))
        self._processes[place][1].end()
        self._start(place)
        self._processes[place][1].write_line()

    def _tell_all(self) -> None:
        for _, process in self._processes.values():
            # One that has found an old entry has ended; its answer says so.
            with suppress(OSError):
                process.write_line()

    def _start(self, place: int) -> None:
        role, release = ROLES[place]
        process = Forked(self._forking)
        process.write_line(f"{role} {next(self._seeds)} {release} {self._world} {self._without}")
        self._processes[place] = (role, process)


def everybody() -> list[Address]:
    """The addresses of all rows of all kinds."""
    return [address(kind.name, key) for kind in kinds() for key in kind.keys(kind.rows())]


def rows_of(addresses: Iterable[Address]) -> dict[Address, Snapshot]:
    """What these rows say; one query for each kind."""
    keys: dict[str, list[str]] = {}
    for name, key in map(kind_and_key, addresses):
        keys.setdefault(name, []).append(key)
    return {
        address(kind.name, key): row
        for kind in kinds()
        if kind.name in keys
        for key, row in kind.snapshots_by_key(keys[kind.name]).items()
    }


class Ages:
    """Compares what the cache answers with the rows, at one moment after another.

    An answer that is not the row's is as old as the moment at which the row was first seen to differ.
    """

    def __init__(self, rows: list[Address]) -> None:
        self.watched = rows
        self._rows: Mapping[Address, Snapshot] = {}
        self._replaced: dict[tuple[Address, bytes], float] = {}
        self.samples = 0

    def sample(self) -> None:
        """Raises OldAnswerError where an answer of either release is older than promised."""
        began = time.monotonic()
        answers = [each for release in (0, 1) for each in cached(self.watched, release).items()]
        rows, now = rows_of(self.watched), time.monotonic()
        for row, stored in rows.items():
            before = self._rows.get(row, stored)
            if before != stored:
                self._replaced.setdefault((row, as_bytes(before)), now)
            self._replaced.pop((row, as_bytes(stored)), None)
        self._rows = rows
        for row, answer in answers:
            if answer != rows.get(row):
                since = self._replaced.setdefault((row, as_bytes(answer)), now)
                if began - since >= PROMISED_SECONDS:
                    raise OldAnswerError(f"{began - since:.1f} s old: {answer}")
        self.samples += 1


RELEASES: Final = {1: "NEXT_"}
"""The fingerprints of other releases."""


def as_bytes(snapshot: Snapshot) -> bytes:
    return entries.encode(0, 0, snapshot)


def cached(rows: list[Address], release: int) -> Mapping[Address, Snapshot]:
    """What a process of this release would answer from the cache."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds() if release else ():
            patch.setattr(kind, "fingerprint", RELEASES[release])
        return dict(protocol.read(rows).fresh)


def expect_right_entries(rows: list[Address]) -> None:
    """Raises OldAnswerError where the cache would answer something else than the row."""
    found = [each for release in (0, 1) for each in cached(rows, release).items()]
    stored = rows_of(rows)
    wrong = {row: (answer, stored.get(row)) for row, answer in found if answer != stored.get(row)}
    if wrong:
        raise OldAnswerError(f"answers and rows: {wrong}")
