"""Races that leave old rows in django-cachalot: the reader stores what a writer has replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from tests.services.waiting import PATIENCE_SECONDS

WRITER_SECONDS = PATIENCE_SECONDS


@contextmanager
def committed_while_read(
    table: str, write: Callable[[], object], *, column: str = ""
) -> Iterator[None]:
    """`write` commits, in another thread, while the first reader of `table` (of one of its
    columns, if that is given) holds the old rows."""
    began: list[bool] = []

    def commit() -> None:
        try:
            write()
        finally:
            connection.close()

    def write_before_the_reader_is_done(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if f'FROM "{table}"' in sql and column in sql and not began:
            began.append(True)
            writer = threading.Thread(target=commit)
            writer.start()
            writer.join(timeout=WRITER_SECONDS)
        return result

    with connection.execute_wrapper(write_before_the_reader_is_done):
        yield
    assert began, f"nobody read {table}"
