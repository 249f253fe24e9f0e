"""Locks of others that a fork would leave taken for ever: they are held while a process forks.

Django keeps what belongs to a thread or task (its caches, language and time zone) in asgiref's
`Local`, which takes a lock for each look; so do pools of Redis' client for each connection. If
another thread holds one while this one forks, the child waits for a thread that it does not have.
So the thread that forks takes them all first, which is a matter of microseconds, and gives them back
on both sides: `logging` does the same.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final, Protocol

from django.core.cache import caches

PATIENCE_SECONDS: Final = 1.0
"""For each lock. Nobody holds one for so long; a fork must not hang on it if somebody does."""

LOCALS: Final = (
    ("cachalot.api", "LOCAL_STORAGE"),
    ("django.urls.base", "_prefixes"),
    ("django.urls.base", "_urlconfs"),
    ("django.utils.timezone", "_active"),
    ("django.utils.translation.trans_real", "_active"),
)
"""Where Django and cachalot have one. They may be replaced while a process runs."""


class Lock(Protocol):
    """One that the same thread may take again."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


_held = threading.local()
"""Of the thread that forks; in the child it is the only one."""


def register() -> None:
    """From now on no fork of this process leaves such a lock taken. To be called once."""
    os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_give_back)


def _take() -> None:
    _held.locks = [lock for lock in _locks() if lock.acquire(timeout=PATIENCE_SECONDS)]


def _give_back() -> None:
    locks, _held.locks = _held.locks, []
    for lock in locks:
        lock.release()


def _locks() -> Iterator[Lock]:
    holders = [getattr(caches, "_connections", None)]
    holders += [getattr(importlib.import_module(module), name, None) for module, name in LOCALS]
    redis = sys.modules.get("django_redis.pool")
    if redis is not None:
        holders += list(redis.ConnectionFactory._pools.values())  # noqa: SLF001 - there is no other way
    for holder in holders:
        lock = getattr(holder, "__dict__", {}).get("_lock")
        if isinstance(lock, _REENTRANT):
            yield lock


_REENTRANT: Final = type(threading.RLock())
