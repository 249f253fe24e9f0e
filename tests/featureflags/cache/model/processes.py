"""The processes of the model as threads of the real code, each of which stops before each of its steps."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from featureflags.cache import outbox, protocol, read_through, snapshot_store
from featureflags.cache.backends.protocol import SharedCache
from tests.featureflags.cache.model import state
from tests.services.standby import Standby
from users.models import User

SECONDS = 60.0
TICK_SECONDS = 30.0
"""In place of the model's two: no version may expire by itself meanwhile."""
UNDECIDED = "undecided"
"""The group of which a transaction makes the user a member, and rolls it back."""


class _RolledBackError(Exception):
    pass


class Process:
    """A thread that runs the code of one process of the model."""

    def __init__(
        self,
        run: Callable[[Process], None],
        cache: SharedCache,
        standby: Standby | None = None,
    ) -> None:
        self.cache, self.standby = cache, standby
        self.at: str | None = None
        self.value = 0
        self.answer: int | None = None
        self.error: BaseException | None = None
        self.has_stopped = False
        """It has stopped already before what it does next."""
        self.passes: frozenset[str] = frozenset()
        """It does not stop before these, which are no steps of its in the model."""
        self._run = run
        self._stopped, self._go = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._is_over = False
        self._thread.start()
        self._wait()

    def stop_at(self, name: str) -> None:
        """Called within the thread, before it does this."""
        if self.has_stopped:
            self.has_stopped = False
        elif not self._is_over and name not in self.passes:
            self.at = name
            self._stopped.release()
            assert self._go.acquire(timeout=SECONDS)

    def step(self) -> None:
        """Let it do what it has stopped before."""
        self._go.release()
        self._wait()

    def end(self) -> None:
        """Let it do the rest."""
        self._is_over = True
        self._go.release()
        self._thread.join(SECONDS)

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=SECONDS), f"stuck after {self.at}"
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        _here.process = self
        try:
            self._run(self)
        except BaseException as error:  # noqa: BLE001 - it is raised by `_wait`
            self.error = error
        finally:
            connections.close_all()
            self.at = None
            self._stopped.release()


_here = threading.local()


def stop_at(name: str) -> None:
    process: Process | None = getattr(_here, "process", None)
    if process is not None:
        process.stop_at(name)


def most_delivered() -> int:
    """A writer deletes its row at once, as in the model."""
    process: Process | None = getattr(_here, "process", None)
    return 0 if process is not None and process.value else 500


class Stopping:
    """A cache that stops the thread before each of its steps."""

    def __init__(self, cache: SharedCache) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cache, name)

        def step(*arguments: Any, **options: Any) -> Any:
            stop_at(name)
            return method(*arguments, **options)

        return step


@contextmanager
def stops(caches: list[SharedCache]) -> Iterator[None]:
    """Within the block each thread of a process stops before each of its steps."""

    def stopping(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            stop_at(function.__name__)
            return function(*arguments, **options)

        return step

    def backend() -> Any:
        process: Process | None = getattr(_here, "process", None)
        return caches[0] if process is None else Stopping(process.cache)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_store, "backend", backend)
        patch.setattr("featureflags.cache.fills.backend", backend)
        for name in ("in_force", "adopt", "pending", "delete"):
            patch.setattr(outbox, name, stopping(getattr(outbox, name)))
        patch.setattr(outbox, "most_delivered", most_delivered)
        patch.setattr(snapshot_store, "VERSION_SECONDS", state.LIFE * TICK_SECONDS)
        patch.setattr(read_through, "_rows", stopping(read_through._rows))
        # The model ends there: a process that begins once more is another one to it.
        patch.setattr(protocol, "_renewed", partial(protocol._renewed, again=False))
        yield


def reader(key: str, process: Process) -> None:
    found = protocol.read([key])
    rows = found.fresh
    if not rows:
        read = read_through.read_and_fill([key], found)
        assert read is not None
        rows = read.snapshots
    snapshot: Any = rows[key]
    process.answer = int(snapshot.name or 0)


def warmer(key: str, _process: Process) -> None:
    read_through.read_and_fill([key], protocol.read([key]))


def old(key: str, process: Process) -> None:
    """Reads in a transaction whose snapshot is of its first step."""
    process.stop_at("read")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT 1 FROM users_user LIMIT 1")
        process.has_stopped = True
        reader(key, process)
    process.answer = None  # The transaction answers from its snapshot.


def writer(key: str, process: Process) -> None:
    process.stop_at("commit")
    User.objects.filter(pk=key).update(name=str(process.value))


def foreign(key: str, process: Process) -> None:
    process.stop_at("commit")
    settings = connection.settings_dict
    with psycopg.connect(
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"],
    ) as other:
        other.execute("UPDATE users_user SET name = %s WHERE id = %s", [str(process.value), key])


def undecided(key: str, process: Process) -> None:
    """Reads in a transaction that has written, and rolls it back."""
    process.stop_at("read")
    with contextlib.suppress(_RolledBackError), transaction.atomic():
        # No column of the row itself: a writer of the model does not wait for its lock.
        User.objects.get(pk=key).groups.add(Group.objects.get(name=UNDECIDED))
        process.has_stopped, process.passes = True, frozenset({"in_force"})
        reader(key, process)
        raise _RolledBackError
    process.answer = None  # The transaction sees what nobody else may.


def replica(key: str, process: Process) -> None:
    """Its database is a standby that has stopped to follow before the first step."""
    assert process.standby is not None
    process.stop_at("read")
    with process.standby.as_default():
        process.has_stopped, process.passes = True, frozenset()
        reader(key, process)
    process.answer = None  # The standby promises nothing.


ROLES = {each.__name__: each for each in (reader, warmer, old, writer, foreign, undecided, replica)}
