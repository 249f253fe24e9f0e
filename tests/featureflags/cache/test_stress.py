"""Readers, writers and a warmer in several processes: in the end each entry equals its row.

`make test` does it for some seconds, `make test-deep` for minutes, with processes killed at random.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Group

from featureflags.cache import outbox, protocol
from tests.factories import UserFactory
from tests.profiles import DEEP
from tests.services.processes import Piped, on_this_database
from tests.services.waiting import wait_until
from users.models import User
from users.selectors import snapshots_by_key

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 60.0 if DEEP else 6.0
WORK_SECONDS = 0.7
UNPROTECTED_SECONDS = 120.0
"""At most: it ends with the first wrong entry."""
USERS = 4
"""Few, so that they get into each other's way."""
ROLES = ("reader", "reader", "writer", "writer", "warmer")
END_SECONDS = 60.0


class Crew:
    """Processes of these roles, which work within `at_work()`, and end with the block."""

    def __init__(self, *, protected: bool = True) -> None:
        self._protected = "yes" if protected else "no"
        self._seeds = iter(range(1_000_000))
        self._processes: dict[int, tuple[str, Piped]] = {}
        self.rounds: dict[str, int] = dict.fromkeys(ROLES, 0)

    def __enter__(self) -> Crew:
        for place, role in enumerate(ROLES):
            self._start(place, role)
        for _, process in self._processes.values():
            assert process.read_line() == "ready\n"
        return self

    def __exit__(self, *_exception: object) -> None:
        for _, process in self._processes.values():
            process.end()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """They work until the end of the block, and have finished what they did."""
        self._tell_all()
        yield
        self._tell_all()
        for role, process in self._processes.values():
            line = process.read_line()
            self.rounds[role] += int(process.read_line() if line == "ready\n" else line)

    def kill_one(self) -> None:
        """Kill one with SIGKILL, wherever it is, and start another in its place."""
        place = random.randrange(len(ROLES))
        role, process = self._processes[place]
        process.end()
        self._start(place, role)
        self._processes[place][1].write_line()

    def _tell_all(self) -> None:
        for _, process in self._processes.values():
            process.write_line()

    def _start(self, place: int, role: str) -> None:
        arguments = (role, str(next(self._seeds)), self._protected)
        program = ("-m", "tests.featureflags.cache.stress")
        self._processes[place] = (role, Piped(on_this_database(), *program, *arguments))


@pytest.fixture
def keys() -> list[str]:
    for number in range(4):
        Group.objects.create(name=f"group {number}")
    return [str(UserFactory.create().pk) for _ in range(USERS)]


def wrong_entries(keys: list[str]) -> dict[str, tuple[object, object]]:
    """What the cache would answer, and the row, where they differ."""
    cached = protocol.read(keys).fresh
    rows = snapshots_by_key(keys)
    return {key: (found, rows.get(key)) for key, found in cached.items() if found != rows.get(key)}


def settle() -> None:
    """Wait as long as a process that died may leave something behind: 5 seconds."""

    def nothing_is_pending() -> bool:
        protocol.read(())
        return not outbox.in_force().has_pending

    wait_until(nothing_is_pending, timeout=END_SECONDS, what="the cache to be told")


def test_whenever_they_rest_each_entry_equals_its_row(keys: list[str]) -> None:
    with Crew() as crew:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            with crew.at_work():
                time.sleep(WORK_SECONDS)
            settle()
            assert wrong_entries(keys) == {}
    assert all(rounds > 5 for rounds in crew.rounds.values()), crew.rounds
    assert User.objects.count() == USERS


def test_without_the_protection_they_do_not(keys: list[str]) -> None:
    """The same processes, so that the test above is known to be able to fail."""
    with Crew(protected=False) as crew:
        ends = time.monotonic() + UNPROTECTED_SECONDS
        while time.monotonic() < ends:
            with crew.at_work():
                time.sleep(WORK_SECONDS)
            if wrong_entries(keys):
                return
    pytest.fail("no race was lost: the processes do too little")


@pytest.mark.skipif(not DEEP, reason="kills at random: in `make test-deep`")
def test_whoever_is_killed_wherever_they_are(keys: list[str]) -> None:
    with Crew() as crew:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            with crew.at_work():
                for _ in range(3):
                    time.sleep(random.random() * WORK_SECONDS)
                    crew.kill_one()
            settle()
            assert wrong_entries(keys) == {}
