"""Rows as they are in the database now, past django-cachalot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cachalot.api import cachalot_disabled


@contextmanager
def fresh_rows() -> Iterator[None]:
    """Read from the database alone. cachalot is back afterwards, whatever was raised.

    cachalot's own context manager (2.9) leaves it switched off in this thread for good once an
    exception passes through: a 404, or a database that is down.
    """
    bypass = cachalot_disabled()
    bypass.__enter__()
    try:
        yield
    finally:
        bypass.__exit__(None, None, None)
