"""The real store, driven through an order of steps of the model.

Each process of the model is a thread that runs the real code. It stops before each step, under the name
that the step has in the model, and goes on when the order says so. After each step the real cache and
the real database must be what the model says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from django.contrib.auth.models import Group

from featureflags.cache import protocol, read_through, snapshot_store
from featureflags.cache.backends.protocol import DELIVERED, SharedCache
from featureflags.cache.entries import VERSION_NAME, decode_version, is_lease, name_of
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion
from tests.featureflags.cache.model import machine, steps
from tests.featureflags.cache.model.processes import (
    ROLES,
    TICK_SECONDS,
    UNDECIDED,
    Process,
    stops,
)
from tests.featureflags.cache.model.state import Actor, Entry, State, Version, living
from tests.services.standby import Standby
from users.models import User

NOTHING: frozenset[str] = frozenset()
STEPS_OF: Mapping[str, frozenset[str]] = {
    "read": frozenset({"begin_get", "begin_get_again"}),
    "lease_and_identify": frozenset({"lease_version"}),
    "_rows": frozenset({"snapshots_and"}),
    "in_force": frozenset({"in_force", "in_force_again"}),
    "send_read": frozenset({"lease"}),
    "send_swap": frozenset({"put"}),
}
"""By the function at which a thread stops, where its name is not the step's."""


class Driver:
    """One user, one or two caches, and the processes of a case of the model."""

    def __init__(
        self,
        user: User,
        caches: list[SharedCache],
        start: State,
        restart: Callable[[], None] | None = None,
        standby: Standby | None = None,
    ) -> None:
        """`restart`: of the first cache. `standby`: of the database, for a `replica`."""
        self._key, self._caches, self._start = str(user.pk), caches, start
        self._restart, self._standby = restart, standby
        self._image: tuple[int, list[tuple[str, int, bytes]]] | None = None

    def run(self, order: Iterable[str]) -> int:
        """Go through these steps; how many were compared. Raises AssertionError where they differ."""
        state, done = self._start, []
        with stops(self._caches):
            begun = self._begin()
            processes = [
                begun.get(number) or self._process(actor)
                for number, actor in enumerate(self._start.actors)
            ]
            try:
                for name in order:
                    done.append(name)
                    state = self._after(state, name, processes)
                    self._compare(state, done)
            finally:
                for process in processes:
                    process.end()
        return len(done)

    def _after(self, state: State, name: str, processes: list[Process]) -> State:
        number, colon, _ = name.partition(":")
        if not colon:
            return self.happen(state, name)
        return self._step(state, int(number), processes[int(number)])

    def _step(self, state: State, number: int, process: Process) -> State:
        actor = state.actors[number]
        if actor.at == "done":
            return state
        names = STEPS_OF.get(process.at or "", frozenset({process.at}))
        assert actor.at in names, f"{actor.kind} stops at {process.at}, in the model at {actor.at}"
        # As the model has it before this step: a restored image takes back what was promised.
        floor = state.floor if actor.at == "begin_get" else actor.floor
        if actor.at == "commit":
            process.value = state.database.value + 1
        process.step()
        state = steps.STEPS[actor.at](state, number, actor, NOTHING)
        if actor.at == "remove":  # One round trip.
            state = steps.keep_delivered(state, number, state.actors[number], NOTHING)
        if process.answer is not None:
            assert process.answer >= floor
        return state

    def happen(self, state: State, name: str) -> State:
        if dict(state.left).get(name, 0) < 1 or not machine.can_happen(name, state):
            return state
        cache: Any = self._caches[0]
        if name == "tick":
            for each in self._caches:
                _pass_time(each)
        elif name in {"evict_version", "evict_entry"}:
            cache.delete(VERSION_NAME if name == "evict_version" else name_of(self._key))
        elif name == "save":
            self._image = state.now, _image_of(cache, self._key)
        else:
            self._empty(cache, is_restart=name != "flush")
        if name == "restore" and self._image is not None:
            saved_at, image = self._image
            _restore(cache, image, TICK_SECONDS * (state.now - saved_at))
        return machine.happen(name, state)

    def _empty(self, cache: Any, *, is_restart: bool) -> None:
        if is_restart:
            assert self._restart is not None
            self._restart()
        cache.clear()
        cache.take_delivered()

    def _compare(self, state: State, done: list[str]) -> None:
        said = "\n".join(done)
        row = User.objects.get(pk=self._key)
        assert int(row.name or 0) == state.database.value, said
        left = OutboxEvent.objects.filter(kind="user").count()
        assert left == len(state.database.outbox), f"{left} rows in the outbox after\n{said}"
        epoch = RulesetVersion.objects.get(pk=1).epoch
        for cache, redis in zip(self._caches, state.redis, strict=True):
            version, entry = cache.read([VERSION_NAME, name_of(self._key)])
            found = _named_version(version, epoch), _named_entry(self._key, entry, epoch)
            in_life = living(redis, state.now)
            expected = _as_named(in_life, redis.entry, state.database.epoch)
            assert found == expected, f"real: {found}, model: {expected}, after\n{said}"

    def _begin(self) -> dict[int, Process]:
        """The rows and the caches as the case begins; the processes in the middle of their work."""
        cache: Any = self._caches[0]
        for each in self._caches:
            each.clear()  # type: ignore[attr-defined]  # Django's
            each.take_delivered()
        Group.objects.get_or_create(name=UNDECIDED)
        User.objects.filter(pk=self._key).update(name="0")
        OutboxEvent.objects.all().delete()
        RulesetVersion.objects.update(identity=cache.take_delivered()[1])
        begun = {
            number: self._begun(actor)
            for number, actor in enumerate(self._start.actors)
            if actor.at in {"adopt", "put"}
        }
        redis = self._start.redis[0]
        if redis.entry is not None and redis.entry.value is not None:
            read_through.read_and_fill([self._key], protocol.read([self._key]))
        if redis.version is None:
            cache.delete(VERSION_NAME)
        elif redis.entry is not None:
            # A whole life, from now.
            cache.delete(VERSION_NAME)
            protocol.read([])
        if self._standby is not None:
            self._standby.fall_behind()
        return begun

    def _begun(self, actor: Actor) -> Process:
        """A process before this step; the world has gone on meanwhile, and the version has expired."""
        row, cache = RulesetVersion.objects.get(pk=1), self._caches[actor.redis]
        if actor.at == "adopt":
            RulesetVersion.objects.update(identity="of another cache")
        else:
            protocol.read([])
        process = self._process(actor)
        while process.at not in {actor.at, *(n for n, of in STEPS_OF.items() if actor.at in of)}:
            process.step()
        if actor.at == "adopt":
            # Another process was faster.
            RulesetVersion.objects.update(identity=row.identity, epoch=row.epoch + 1)
        cache.delete(VERSION_NAME)  # type: ignore[attr-defined]  # Django's
        return process

    def _process(self, actor: Actor) -> Process:
        role = partial(ROLES[actor.kind], self._key)
        return Process(role, self._caches[actor.redis], self._standby)


def _named_version(stored: bytes | None, epoch: int) -> str:
    if stored is None:
        return "nothing"
    published = decode_version(stored)
    return "a lease" if published is None else f"epoch in force: {published[1] == epoch}"


def _named_entry(key: str, stored: bytes | None, epoch: int) -> str:
    if stored is None or is_lease(stored):
        return "nothing" if stored is None else "a lease"
    entry = snapshot_store.entry_of(key, stored)
    assert entry is not None
    snapshot: Any = entry.snapshot
    return f"{snapshot.name}, epoch in force: {entry.epoch == epoch}"


def _as_named(version: Version | None, entry: Entry | None, epoch: int) -> tuple[str, str]:
    said = "nothing"
    if version is not None:
        said = "a lease" if version.epoch is None else f"epoch in force: {version.epoch == epoch}"
    if entry is None or entry.value is None:
        return said, "nothing" if entry is None else "a lease"
    return said, f"{entry.value}, epoch in force: {entry.epoch == epoch}"


def _pass_time(cache: Any) -> None:
    """The version's life is one tick shorter."""
    left = _seconds_left(cache, VERSION_NAME)
    if left is not None:
        if left > TICK_SECONDS:
            cache.touch(VERSION_NAME, left - TICK_SECONDS)
        else:
            cache.delete(VERSION_NAME)


def _seconds_left(cache: Any, name: str) -> float | None:
    """How long this name lives on; None: there is none."""
    if hasattr(cache, "pttl"):
        left = cache.pttl(name)
        return None if not left or left < 0 else left / 1000
    path = cache._path(name)
    return cache._seconds_left(path) if path.exists() else None


def _image_of(cache: Any, key: str) -> list[tuple[str, int, bytes]]:
    """What Redis holds: names, milliseconds to live (0: for ever), values."""
    client = cache.client.get_client(write=True)
    names = cache.names([VERSION_NAME, name_of(key), DELIVERED])
    found = [(name, client.pttl(name), client.dump(name)) for name in names]
    return [(name, max(0, left), value) for name, left, value in found if value is not None]


def _restore(cache: Any, image: list[tuple[str, int, bytes]], seconds: float) -> None:
    """The image, so many seconds later."""
    client = cache.client.get_client(write=True)
    for name, left, value in image:
        if not left or left > seconds * 1000:
            client.restore(name, left and int(left - seconds * 1000), value)
