"""Who must ask again: one thread looks at the cache for all streams of this process.

Every `LOOK_SECONDS` it reads the version of the rules and the entries of all subjects in one round trip.

    another version or epoch      rules or members changed: all streams
    LaunchDarkly's listener       a flag or segment of LaunchDarkly changed: all streams
    other bytes of an entry       this subject was written: its streams
    the clock (`clocks`)          a membership of this subject has ended, its account is a day older: its streams

A write removes the entry, so each subject has one. The thread fills it again before it wakes the streams, and remembers the bytes
that are stored then: so a second write is seen, and the fill itself is not. While the cache does not
answer nothing is compared; what was remembered still holds when it does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.db import connections

from featureflags.cache import protocol, read_through, snapshot_store
from featureflags.cache.entries import LEASE
from featureflags.core.conf import app_settings
from featureflags.core.deadlines import Purpose, within
from featureflags.core.fork_hooks import in_child
from featureflags.core.monitoring import report
from featureflags.kinds.snapshot import Address
from featureflags.launchdarkly import listeners
from featureflags.launchdarkly.client import client
from featureflags.live.clocks import Clocks

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.3
REFILL_EVERY: Final = 10
"""Looks. Then all that is missing is filled again: evicted, never made, or not readable for a while."""
MOST_OF_ONE: Final = 20
"""Streams of one subject in one process."""


class TooManyStreams(Exception):
    """This process, or this subject, has as many streams as are allowed."""


@dataclass(slots=True, eq=False, kw_only=True)
class Stream:
    """One open stream, as the event loop that serves it knows it."""

    who: str
    keys: frozenset[Address]
    loop: asyncio.AbstractEventLoop
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the cache held at one moment."""

    rules: tuple[str, int | None]
    entries: Mapping[Address, bytes]
    """By address; empty bytes where there is no entry."""


class Hub:
    """The streams of this process, and the thread that looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: set[Stream] = set()
        self._of_each: Counter[str] = Counter()
        self._seen: dict[Address, bytes] = {}
        self._clocks = Clocks()
        self._rules: tuple[str, int | None] | None = None
        self._thread: threading.Thread | None = None
        self._looks = 0
        self._flags_changed = threading.Event()
        self._listener = listeners.Listener(
            on_state=lambda _state: None, on_flag=self._flag_changed
        )
        self.is_ending = False

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, stream: Stream) -> None:
        """Have it woken from now on. What its keys hold now is what changes are compared with.

        Raises TooManyStreams. Waits for the cache: not for an event loop. While the server ends a stream is taken,
        and ends at once: a browser comes again then, and never after a refusal.
        """
        with self._lock:
            is_full = len(self._streams) >= app_settings().live_streams
            if is_full or self._of_each[stream.who] >= MOST_OF_ONE:
                raise TooManyStreams
            self._streams.add(stream)
            self._of_each[stream.who] += 1
        seen = look(stream.keys)
        entries: dict[Address, bytes] = {}
        if seen is not None:
            # A write is noticed by the entry that it removes: there must be one.
            entries = {**seen.entries, **refilled(_missing(seen.entries))}
            # Before the client asks: so no change by the clock falls between the answer and this.
            self._clocks.learn(stream.keys, again=False)
        with self._lock:
            if seen is not None:
                self._seen = {**entries, **self._seen}
                self._rules = self._rules or seen.rules
            self._start()

    def close(self, stream: Stream) -> None:
        with self._lock:
            if stream not in self._streams:
                return
            self._streams.remove(stream)
            self._of_each[stream.who] -= 1
            if not self._of_each[stream.who]:
                del self._of_each[stream.who]

    def end(self) -> None:
        """The server ends: wake all streams, which end too."""
        self.is_ending = True
        _wake(self._streams)

    def _start(self) -> None:
        """Let the thread run while there are streams. The caller holds the lock."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="guidon-live", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        listeners.add(self._listener, client())
        try:
            while not self._is_over():
                began = time.monotonic()
                try:
                    self._look()
                except Exception as error:  # noqa: BLE001 - the thread must outlive what one look met
                    name = type(error).__name__
                    report(logger, "live_failed", "Streams could not be served: %s", name)
                self._flags_changed.wait(max(0.0, LOOK_SECONDS - (time.monotonic() - began)))
        finally:
            listeners.remove(self._listener)
            connections.close_all()

    def _is_over(self) -> bool:
        with self._lock:
            if self._streams and not self.is_ending:
                return False
            self._thread, self._rules = None, None
            self._seen.clear()
            self._clocks.keep(())
            return True

    def _look(self) -> None:
        is_flag = self._flags_changed.is_set()
        self._flags_changed.clear()
        with self._lock:
            streams = list(self._streams)
            keys = {key for stream in streams for key in stream.keys}
            self._seen = {key: value for key, value in self._seen.items() if key in keys}
            self._clocks.keep(keys)
        seen = look(keys)
        if seen is None:
            if is_flag:
                _wake(streams)
            return
        changed = self._changed(seen.entries)
        self._looks += 1
        wanted = keys if self._looks % REFILL_EVERY == 0 else changed
        missing = [key for key in _missing(seen.entries) if key in wanted]
        entries = {**seen.entries, **refilled(missing)}
        changed |= self._changed(entries)
        with self._lock:
            is_rules = self._rules is not None and self._rules != seen.rules
            self._rules = seen.rules
            self._seen.update(entries)
        changed |= self._ticked(keys, keys if is_rules else changed)
        if is_flag or is_rules:
            _wake(streams)
        elif changed:
            _wake(stream for stream in streams if not changed.isdisjoint(stream.keys))

    def _ticked(self, keys: set[Address], changed: set[Address]) -> set[Address]:
        """The rows that the clock has changed. Those that `changed` otherwise are computed anew.

        Before anybody is woken: who asks then gets an answer that is not older.
        """
        ticked = self._clocks.ticked(keys - changed)
        self._clocks.learn(changed)
        if self._looks % REFILL_EVERY == 0:
            self._clocks.learn(keys, again=False)
        return ticked

    def _changed(self, entries: Mapping[Address, bytes]) -> set[Address]:
        seen = self._seen
        return {key for key, value in entries.items() if seen.get(key, value) != value}

    def _flag_changed(self, _key: str) -> None:
        self._flags_changed.set()


def look(keys: Collection[Address]) -> Seen | None:
    """One round trip, and one query every four seconds, for all processes. None: nobody can say."""
    with within(Purpose.PAGE):
        read = snapshot_store.get(keys)
        if read.version is None or read.failed:
            known = protocol.read(())
            if known.failed or known.version is None:
                return None
            read.version, read.epoch = known.version, known.epoch
        assert read.version is not None  # noqa: S101 - for the type checker
    entries = {key: read.stored.get(key, b"") for key in keys}
    without_leases = {
        key: b"" if value.startswith(LEASE) else value for key, value in entries.items()
    }
    return Seen(rules=(read.version, read.epoch), entries=without_leases)


def _missing(entries: Mapping[Address, bytes]) -> list[Address]:
    return [key for key, value in entries.items() if not value]


def refilled(keys: Collection[Address]) -> Mapping[Address, bytes]:
    """Put these rows back into the cache; what is stored of them then. One query for each kind at most."""
    if not keys:
        return {}
    with within(Purpose.PAGE):
        read = protocol.read(list(keys))
        missing = [key for key in keys if key not in read.fresh]
        if missing and not read.failed:
            read_through.read_and_fill(missing, read)
    seen = look(keys)
    return {} if seen is None else seen.entries


def _wake(streams: Iterable[Stream]) -> None:
    """From any thread; one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Stream]] = defaultdict(list)
    for stream in tuple(streams):
        by_loop[stream.loop].append(stream)
    for loop, those in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set, those)
        except RuntimeError:
            continue  # the loop is closed, and its streams with it


def _set(streams: Iterable[Stream]) -> None:
    for stream in streams:
        stream.changed.set()


_hub = Hub()


def hub() -> Hub:
    """That of this process."""
    return _hub


def _begin_anew() -> None:
    global _hub  # noqa: PLW0603 - neither the thread nor the streams exist in the child
    _hub = Hub()


in_child(_begin_anew)
