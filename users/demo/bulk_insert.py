"""Writes users by the hundred thousand: COPY on PostgreSQL, prepared inserts on SQLite.

The rows come from `users.demo.random_users`, which keeps the model's rules: nothing here
validates them, and a test compares what is stored with what the model would store.

A user whose key or address exists already stays unchanged. New users are in no cache, so no entry
needs to be invalidated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from itertools import islice

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper

from users.demo.random_users import RandomUser
from users.models import User

BATCH = 10_000
NO_PASSWORD = UNUSABLE_PASSWORD_PREFIX + "seeded"
"""Cannot log in: Django's own mark, without the random text that password resets use."""

COLUMNS = tuple(field.name for field in fields(RandomUser))
CONSTANTS: dict[str, str | bool] = {
    "password": NO_PASSWORD,
    "is_superuser": False,
    "is_staff": False,
}

TABLE = User._meta.db_table
ASIDE = "seeded_users"
NAMES = ", ".join((*COLUMNS, *CONSTANTS))
COPY = f"COPY {TABLE} ({NAMES}) FROM STDIN"
COPY_ASIDE = f"COPY {ASIDE} ({NAMES}) FROM STDIN"
CREATE_ASIDE = f"CREATE TEMPORARY TABLE {ASIDE} (LIKE {TABLE}) ON COMMIT DROP"
TAKE_OVER = f"INSERT INTO {TABLE} SELECT * FROM {ASIDE} ON CONFLICT DO NOTHING"  # noqa: S608
DROP_ASIDE = f"DROP TABLE {ASIDE}"
INSERT = (
    f"INSERT OR IGNORE INTO {TABLE} ({NAMES})"  # noqa: S608
    f" VALUES ({', '.join(['%s'] * (len(COLUMNS) + len(CONSTANTS)))})"
)
"""Names of columns and tables alone; every value goes through COPY."""


def write_users(
    users: Iterable[RandomUser], progress: Callable[[int], object] | None = None
) -> int:
    """Write them in batches, each in its own transaction; how many are new.

    `progress` is called after each batch with the number of its users.
    """
    write = _copy if connection.vendor == "postgresql" else _insert
    written = 0
    for batch in _batches(users):
        written += write(batch)
        if progress is not None:
            progress(len(batch))
    return written


def _batches(users: Iterable[RandomUser]) -> Iterator[list[RandomUser]]:
    source = iter(users)
    while batch := list(islice(source, BATCH)):
        yield batch


def _insert(batch: list[RandomUser]) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(INSERT, list(map(_sqlite_row, batch)))
        written: int = cursor.rowcount
    return written


def _sqlite_row(user: RandomUser) -> tuple[str | bool | None, ...]:
    """One row as Django's SQLite backend stores it: keys as hex, instants as naive UTC."""
    as_stored = connection.ops.adapt_datetimefield_value
    return (
        user.id.hex,
        user.email,
        user.email_verified,
        user.name,
        user.role,
        json.dumps(user.metadata),
        as_stored(user.created_at),
        as_stored(user.last_seen_at),
        user.is_active,
        *CONSTANTS.values(),
    )


def _copy(batch: list[RandomUser]) -> int:
    """Straight into the table; by way of a table aside if some of them are there already."""
    text = "".join(map(_copy_line, batch))
    with connection.cursor() as cursor:
        try:
            with transaction.atomic(), connection.wrap_database_errors, cursor.copy(COPY) as copy:
                copy.write(text)
        except IntegrityError:
            return _copy_new(cursor, text)
    return len(batch)


def _copy_new(cursor: CursorWrapper, text: str) -> int:
    with transaction.atomic():
        cursor.execute(CREATE_ASIDE)
        with cursor.copy(COPY_ASIDE) as copy:
            copy.write(text)
        cursor.execute(TAKE_OVER)
        written: int = cursor.rowcount
        cursor.execute(DROP_ASIDE)
    return written


def _copy_line(user: RandomUser) -> str:
    """One row in COPY's text format, whose columns part at tabs. Null is written as \\N."""
    values = (
        user.id,
        user.email,
        user.email_verified,
        user.name,
        user.role,
        json.dumps(user.metadata).replace("\\", "\\\\"),
        user.created_at,
        "\\N" if user.last_seen_at is None else user.last_seen_at,
        user.is_active,
        *CONSTANTS.values(),
    )
    return "\t".join(map(str, values)) + "\n"
