"""Holds the locks of other libraries while the process forks, so that the child never waits for one.

Django keeps the caches, language and time zone of a thread or task in asgiref's `Local`, which takes a
lock for each access. The connection pools of the Redis client take one too. A lock that another thread
holds during a fork stays locked in the child, where that thread does not exist. So the forking thread
takes all of these locks first, for microseconds, and releases them in the parent and in the child, as
`logging` does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Final, Protocol

from django.core.cache import caches

PATIENCE_SECONDS: Final = 1.0
"""The longest wait for one lock. Then the fork goes on without it."""

LOCALS: Final = (
    ("cachalot.api", "LOCAL_STORAGE"),
    ("django.urls.base", "_prefixes"),
    ("django.urls.base", "_urlconfs"),
    ("django.utils.timezone", "_active"),
    ("django.utils.translation.trans_real", "_active"),
)
"""Modules of Django and cachalot, and the name of their `Local`. It may be replaced at run time."""


class Lock(Protocol):
    """A reentrant lock."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


_held = threading.local()
"""The locks that the forking thread holds. In the child it is the only thread."""


def register() -> None:
    """Take and release the locks around each fork of this process. Call it once."""
    os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_give_back)


def _take() -> None:
    _held.locks = [lock for lock in _locks() if lock.acquire(timeout=PATIENCE_SECONDS)]


def _give_back() -> None:
    locks, _held.locks = _held.locks, []
    for lock in locks:
        lock.release()


def _locks() -> Iterator[Lock]:
    holders = [getattr(caches, "_connections", None)]
    # A module that nothing has imported has no lock.
    holders += [getattr(sys.modules.get(module), name, None) for module, name in LOCALS]
    redis = sys.modules.get("django_redis.pool")
    if redis is not None:
        holders += _pools_of(redis.ConnectionFactory)
    for holder in holders:
        lock = getattr(holder, "__dict__", {}).get("_lock")
        if isinstance(lock, _REENTRANT):
            yield lock


def _pools_of(factory: type) -> Iterator[object]:
    """The connection pools of a factory and of those that inherit from it, each with a dictionary of its own."""
    yield from vars(factory).get("_pools", {}).values()
    for inherited in factory.__subclasses__():
        yield from _pools_of(inherited)


_REENTRANT: Final = type(threading.RLock())
