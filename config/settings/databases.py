"""The database that `DATABASE_URL` names, or SQLite in the var folder."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from config.settings.environment import url

KNOWN = ("postgres", "postgresql", "sqlite")
"""The databases that DATABASE_URL may name, by the scheme of the address."""

POSTGRES_ENGINE = "featureflags.core.postgresql"
"""Django's own, with deadlines on our side."""

# Where no request waits: a dead server must not hold a command for the minutes that TCP would wait.
# Nor one that is gone without a word (a host that lost its power, a firewall that forgot the connection): the
# kernel asks after half a minute of silence, and gives up a minute later.
POSTGRES_OPTIONS = {
    "connect_timeout": 3,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

KEEPALIVE: dict[str, object] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): seconds
        for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    },
}
"""For the broker, where a worker waits for its next task for ever. Of Celery's Redis transport."""

SQLITE_OPTIONS = {
    # Two writers wait for each other instead of failing half-way with "database is locked".
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def database(env: environ.Env, var_dir: Path) -> dict[str, Any]:
    """Django's settings for one database. SQLite's folder is made if it is missing.

    Raises ImproperlyConfigured for an address of another database. It does not repeat the address,
    which may hold a password.
    """
    var_dir.mkdir(parents=True, exist_ok=True)
    address = url("DATABASE_URL", default=f"sqlite:///{var_dir}/db.sqlite3")
    scheme, _, rest = address.partition("://")
    if scheme not in KNOWN or not rest:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database that Guidon can use. Write"
            " postgres://user:password@host:5432/name or sqlite:///path/to/file."
        )
    settings: dict[str, Any] = env.db_url_config(address)
    is_sqlite = scheme == "sqlite"
    options = SQLITE_OPTIONS if is_sqlite else POSTGRES_OPTIONS
    settings["OPTIONS"] = {**options, **settings.get("OPTIONS", {})}
    if not is_sqlite:
        settings["ENGINE"] = POSTGRES_ENGINE
        settings["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
        settings["CONN_HEALTH_CHECKS"] = True
    return settings
