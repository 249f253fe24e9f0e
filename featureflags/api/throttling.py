"""How many calls a key, a user or an address may make in a minute; and how many wrong keys.

    allowed, wait = count_call("key:17", limit=60_000)

Minutes are those of the clock. Processes add what they have counted to the default cache when it is a
fiftieth of the limit, so that a call costs no round trip: each process may let that much more
pass. While the cache does not answer, each process counts by itself. Of an address only a keyed hash
is stored, of IPv6 the first 64 bits.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Final, cast

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from featureflags.core.client_address import client_address
from featureflags.core.conf import app_settings
from featureflags.core.fork_hooks import in_child
from featureflags.models import ServiceKey

WINDOW_SECONDS: Final = 60
SHARES: Final = 50
"""What a process adds at a time: this part of the limit."""
MOST_COUNTED: Final = 10_000
"""Callers of a minute that a process remembers."""
SALT: Final = "featureflags.api.throttling"


@dataclass(slots=True)
class _Count:
    total: int = 0
    """Of all processes, when this one last added."""
    own: int = 0
    """Not yet added."""


_lock = threading.Lock()
_counts: dict[str, _Count] = {}
_minute = [0]


def count_call(name: str, limit: int) -> int | None:
    """Count one call. None: it is within the limit (0: there is none); else the seconds to wait."""
    if limit <= 0:
        return None
    now = time.time()
    minute = int(now // WINDOW_SECONDS)
    with _lock:
        if minute != _minute[0] or len(_counts) >= MOST_COUNTED:
            _counts.clear()
            _minute[0] = minute
        count = _counts.setdefault(name, _Count())
        count.own += 1
        is_due = count.own >= max(1, limit // SHARES) and count.total <= limit
        added = count.own if is_due else 0
        count.total, count.own = count.total + added, count.own - added
    if added:
        shared = _add(f"throttle:{minute}:{name}", added)
        with _lock:
            count.total = max(count.total, shared)
    if count.total + count.own <= limit:
        return None
    return max(1, math.ceil((minute + 1) * WINDOW_SECONDS - now))


def _add(name: str, number: int) -> int:
    """Add to what all processes share; the sum, or 0 if the cache does not answer."""
    # The cache is the one that ignores its failures: it answers None then.
    cache.add(name, 0, 2 * WINDOW_SECONDS)
    try:
        total: object = cache.incr(name, number)
    except ValueError:
        return 0  # it has just been removed
    return total if isinstance(total, int) else 0


def forget_counts() -> None:
    """Begin again, in this process."""
    _counts.clear()


def _new_lock() -> None:
    global _lock  # noqa: PLW0603 - the thread that held it does not exist in the child
    _lock = threading.Lock()


in_child(_new_lock)


def address_name(request: Request) -> str:
    """A name for the caller's address that does not tell the address."""
    # REST framework's request passes everything on to Django's.
    address = client_address(cast("HttpRequest", request))
    return f"address:{salted_hmac(SALT, address).hexdigest()}"


def count_wrong_key(request: Request) -> int | None:
    """Count a wrong key from the caller's address; as `count_call`."""
    return count_call(f"wrong:{address_name(request)}", app_settings().throttle_wrong_keys)


class CallerThrottle(BaseThrottle):
    """Counts each call for its key, else for its user, else for its address."""

    _wait: int | None = None

    def allow_request(self, request: Request, view: object) -> bool:  # noqa: ARG002 - DRF's
        limits, user = app_settings(), getattr(request.user, "pk", None)
        auth: object = request.auth
        # Not isinstance: it would load the lazy user of a session, from a database that may be down.
        if type(auth) is ServiceKey:
            self._wait = count_call(f"key:{auth.pk}", limits.throttle_key)
        elif user is not None:
            self._wait = count_call(f"user:{user}", limits.throttle_user)
        elif limits.throttle_address > 0:
            self._wait = count_call(address_name(request), limits.throttle_address)
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait
