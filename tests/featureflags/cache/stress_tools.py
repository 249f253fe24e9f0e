"""What the writes of the stress test share."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import Final

import psycopg
from django.db import connection

PAUSE_SECONDS: Final = 0.02

chance: Final = random.Random()


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def execute_elsewhere(sql: str) -> None:
    """As another program: on a connection of its own, which knows nothing of Guidon."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(settings["NAME"], timeout=20)) as foreign, foreign:
            foreign.execute(sql)
        return
    with psycopg.connect(
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"],
    ) as other:
        other.execute(sql)
