"""Reads past django-cachalot, and closes what it leaves open. The only module that knows of it; without it
installed, a no-op."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS
from django.db.transaction import Atomic

try:
    from cachalot.api import cachalot_disabled
    from cachalot.cache import cachalot_caches
except ImportError:
    cachalot_disabled = nullcontext
    cachalot_caches = None


@contextmanager
def fresh_rows() -> Iterator[None]:
    """Read from the database alone; cachalot is on again afterwards, whatever was raised.

    cachalot's own context manager (2.9) stays off in this thread for good once an exception
    passes through it: a 404, or a database that is down.
    """
    bypass = cachalot_disabled()
    bypass.__enter__()
    try:
        yield
    finally:
        bypass.__exit__(None, None, None)


def forget_transactions_that_never_began() -> None:
    """Have cachalot forget the transaction that it has opened for one that a database refused. Called once.

    It opens its own before Django's (2.9), and nothing closes it then: the thread would find all it reads in its
    memory, for as long as it lives and whatever others write.
    """
    if cachalot_caches is None:
        return
    usual = Atomic.__enter__

    def enter(atomic: Atomic) -> None:
        try:
            usual(atomic)
        except BaseException:
            if cachalot_caches.atomic_caches[atomic.using or DEFAULT_DB_ALIAS]:
                cachalot_caches.exit_atomic(atomic.using, False)
            raise

    # cachalot may come before or after: it takes its own away by this name.
    cast("Any", enter).__wrapped__ = getattr(usual, "__wrapped__", usual)
    Atomic.__enter__ = enter  # type: ignore[method-assign]
