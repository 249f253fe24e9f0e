"""Users by the million, for the benchmarks that have a database. Django must be set up."""

from __future__ import annotations

import time

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from users.demo.bulk_insert import write_users
from users.demo.random_users import crowd


def fill(count: int) -> float:
    """Migrate, create that many users, and let the database gather its statistics; in seconds."""
    started = time.perf_counter()
    call_command("migrate", verbosity=0)
    write_users(crowd(count, timezone.now()))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return time.perf_counter() - started
