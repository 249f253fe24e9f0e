"""Whether a server answers, as this process knows it: a circuit breaker with one line of log each way.

A stopped server accepts connections and never answers. Once one caller has waited for it until its
deadline, the next callers must not wait: `may_ask` is False for them, and they go down the ladder
at once. Every `RETRY_SECONDS` one caller may ask, so that the return is noticed.

A server that refuses (it was killed) costs nobody any time, so it may always be asked; its outage is
only counted and logged.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from featureflags.core.fork_hooks import in_child

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""While a server is silent, one caller of this process asks it once in this time."""
RETRY_AFTER: Final = "5"
"""The `Retry-After` of an answer 503, in seconds."""
QUIET_SECONDS = 10.0
"""A server that answers now and then is logged no more often than this."""


@dataclass(slots=True, kw_only=True)
class Outage:
    """One outage: from the first failure until the next answer. Times are monotonic seconds."""

    began: float
    is_logged: bool
    missed: int = 0
    """Callers that waited until their deadline."""
    failed: int = 0
    """Callers that got an error at once."""
    refused: int = 0
    """Callers that were not let through."""
    ask_again_at: float | None = None
    """None: the server may be asked at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Since the process began."""

    is_silent: bool
    outages: int
    missed: int
    failed: int
    refused: int
    seconds: float
    """The length of all outages, the present one included."""


@dataclass(slots=True)
class _Past:
    outages: int = 0
    missed: int = 0
    failed: int = 0
    refused: int = 0
    seconds: float = 0.0


over: list[Callable[[str, float], None]] = []
"""Each is called when an outage is over, with the name of the server and its length in seconds. It must not
wait and must not raise."""

_servers: weakref.WeakSet[Server] = weakref.WeakSet()


@dataclass(slots=True, weakref_slot=True, eq=False)
class Server:
    """What this process knows about one server."""

    name: str
    outage: Outage | None = None
    _past: _Past = field(default_factory=_Past)
    _last_line: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        _servers.add(self)

    @property
    def is_silent(self) -> bool:
        """True after a missed deadline, until the server answers."""
        outage = self.outage
        return outage is not None and outage.ask_again_at is not None

    def may_ask(self) -> bool:
        """True if the caller may wait for the server. While it is silent: for one caller a second."""
        outage = self.outage
        if outage is None or outage.ask_again_at is None:
            return True
        with self._lock:
            now = time.monotonic()
            if now >= outage.ask_again_at:
                outage.ask_again_at = now + RETRY_SECONDS
                return True
            outage.refused += 1
            return False

    def missed(self, seconds: float) -> None:
        """A caller has waited for `seconds` in vain: nobody else waits from now on."""
        with self._lock:
            outage = self._current(f"gave no answer within {seconds:.2f} s")
            outage.missed += 1
            outage.ask_again_at = time.monotonic() + RETRY_SECONDS

    def failed(self, error: BaseException) -> None:
        """The server, or the network, refused at once."""
        with self._lock:
            self._current(f"cannot be reached ({type(error).__name__})").failed += 1

    def answered(self) -> None:
        """The server has answered. Cheap while there is no outage."""
        if self.outage is None:
            return
        with self._lock:
            outage, self.outage = self.outage, None
            if outage is not None:
                self._end(outage)
        if outage is not None:
            for count in over:
                count(self.name, time.monotonic() - outage.began)

    def totals(self) -> Totals:
        """The counts of this process."""
        with self._lock:
            outage, past = self.outage, self._past
            now = Outage(began=0, is_logged=False) if outage is None else outage
            lasted = 0.0 if outage is None else time.monotonic() - outage.began
            return Totals(
                is_silent=now.ask_again_at is not None,
                outages=past.outages + (outage is not None),
                missed=past.missed + now.missed,
                failed=past.failed + now.failed,
                refused=past.refused + now.refused,
                seconds=past.seconds + lasted,
            )

    def forget(self) -> None:
        """Start again from nothing: in a forked child, and for tests."""
        self._lock = threading.Lock()
        self.outage = None
        self._past = _Past()
        self._last_line = float("-inf")

    def _current(self, what: str) -> Outage:
        """The present outage; a new one is logged. The caller holds the lock."""
        if self.outage is None:
            now = time.monotonic()
            is_logged = now - self._last_line >= QUIET_SECONDS
            self.outage = Outage(began=now, is_logged=is_logged)
            if is_logged:
                self._last_line = now
                logger.warning("%s %s. Requests go on without it.", self.name, what)
        return self.outage

    def _end(self, outage: Outage) -> None:
        lasted = time.monotonic() - outage.began
        past = self._past
        past.outages += 1
        past.missed += outage.missed
        past.failed += outage.failed
        past.refused += outage.refused
        past.seconds += lasted
        if outage.is_logged:
            logger.warning(
                "%s answers again after %.1f s: %d deadlines missed, %d errors, %d not asked.",
                self.name,
                lasted,
                outage.missed,
                outage.failed,
                outage.refused,
            )


DATABASE = Server("PostgreSQL")
REDIS = Server("Redis")


def servers() -> Iterable[Server]:
    """Every server of this process, by name."""
    return sorted(_servers, key=lambda server: server.name)


def _forget_after_fork() -> None:
    for server in _servers:
        server.forget()


in_child(_forget_after_fork)
