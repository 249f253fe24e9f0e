"""A standby of a PostgreSQL: it follows by streaming replication, and falls behind on command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.services.postgres import SUPERUSER, PostgresServer
from tests.services.waiting import wait_until


class Standby(PostgresServer):
    """Of the server of Django's default database. Its own `database_url` gives each database there."""

    name = "standby"

    def __init__(self) -> None:
        primary = connection.settings_dict
        self._primary = {
            "host": primary["HOST"],
            "port": str(primary["PORT"]),
            "user": primary["USER"] or SUPERUSER,
        }
        super().__init__()

    def prepare(self) -> None:
        super().prepare()
        self._data.rename(self.directory / "unused")
        where = [f"--{name}{'name' if name == 'user' else ''}" for name in self._primary]
        values = self._primary.values()
        pairs = [part for pair in zip(where, values, strict=True) for part in pair]
        self._run(
            "pg_basebackup",
            *pairs,
            *("-D", str(self._data), "--wal-method=stream"),
            *("--checkpoint=fast", "--no-sync", "--no-password"),
        )
        # Not by `--write-recovery-conf`: a newer program writes options that an older server does not know.
        reached = " ".join(f"{name}={value}" for name, value in self._primary.items())
        (self._data / "standby.signal").touch()
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{reached}'\n")

    def _create_database(self) -> None:
        """It has those of the primary."""

    def follow(self) -> None:
        """Have everything that the primary has committed."""
        self._say("SELECT pg_wal_replay_resume()")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()")
            [wanted] = cursor.fetchone()
        asked = f"SELECT pg_last_wal_replay_lsn() >= '{wanted}'"
        wait_until(lambda: self._say(asked) is True, what="the standby to follow")

    def fall_behind(self) -> None:
        """Have all of now, and nothing of what comes."""
        self.follow()
        self._say("SELECT pg_wal_replay_pause()")
        state = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
        wait_until(lambda: self._say(state) is True, what="the standby to pause")

    def _say(self, query: str) -> object:
        with self._connect() as raw:
            row = raw.execute(query.encode()).fetchone()
            return None if row is None else row[0]

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Within the block this thread's default database is the one here."""
        here, before = connections["default"], connections["default"].settings_dict
        here.close()
        here.settings_dict = {**before, "HOST": "127.0.0.1", "PORT": str(self.port)}
        try:
            yield
        finally:
            here.close()
            here.settings_dict = before

    @contextmanager
    def as_alias(self, alias: str) -> Iterator[None]:
        """Within the block `alias` is a database of Django's, for reads."""
        own = {**connection.settings_dict, "HOST": "127.0.0.1", "PORT": str(self.port)}
        connections.settings[alias] = own
        # Django's tests refuse databases that they do not know: there is nothing to undo here.
        connections[alias].__dict__["ensure_connection"] = partial(_connect, connections[alias])
        try:
            yield
        finally:
            connections[alias].close()
            del connections[alias], connections.settings[alias]


def _connect(wrapper: BaseDatabaseWrapper) -> None:
    if wrapper.connection is None:
        with wrapper.wrap_database_errors:
            wrapper.connect()
