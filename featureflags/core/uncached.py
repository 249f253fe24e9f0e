"""Reads past django-cachalot. The only module that knows of it; without it installed, a no-op."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

try:
    from cachalot.api import cachalot_disabled
except ImportError:
    cachalot_disabled = nullcontext


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
