"""Servers that answer and refuse, tables that are locked, and another writer of SQLite: states of a site."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import redis

from tests.chaos.harsh import EmbeddedSite
from tests.chaos.site import ServedSite
from tests.services.guarded import HOST

PASSWORD = "another password"

OURS = (
    *("featureflags_rulesetversion", "featureflags_outboxevent", "featureflags_segment"),
    *("featureflags_apikey", "django_session", "auth_group"),
)
"""Tables that are asked for flags, besides that of the users."""


@contextmanager
def locked(site: ServedSite) -> Iterator[None]:
    """Every table of ours, as a migration would lock it."""
    with psycopg.connect(site.postgres.url) as other:
        other.execute(f"LOCK TABLE {', '.join(OURS)} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def read_only(site: ServedSite) -> Iterator[None]:
    """PostgreSQL takes no writes, as the primary of before a failover."""
    url, mine = site.postgres.url, "-c default_transaction_read_only=off"
    with psycopg.connect(url, autocommit=True, options=mine) as other:
        other.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        other.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            other.execute("ALTER SYSTEM RESET default_transaction_read_only")
            other.execute("SELECT pg_reload_conf()")


@contextmanager
def _with_cache(site: ServedSite) -> Iterator[Any]:
    with redis.Redis.from_url(site.cache.url, single_connection_client=True) as client:
        client.ping()
        yield client


@contextmanager
def full(site: ServedSite) -> Iterator[None]:
    """Redis has no memory left and evicts nothing: it reads, and takes no writes."""
    with _with_cache(site) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def demoted(site: ServedSite) -> Iterator[None]:
    """Redis is a replica of one that is away: it reads what it knew, and takes no writes."""
    with _with_cache(site) as client:
        client.execute_command("REPLICAOF", HOST, "1")
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def other_password(site: ServedSite) -> Iterator[None]:
    """The password of Redis was changed, and all connections were cut."""
    with _with_cache(site) as client:
        client.config_set("requirepass", PASSWORD)
        client.execute_command("AUTH", PASSWORD)
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            client.config_set("requirepass", "")


@contextmanager
def no_more_clients(site: ServedSite) -> Iterator[None]:
    """Redis has as many clients as it takes, and those of the site were cut."""
    with _with_cache(site) as client:
        before = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", "1")
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            client.config_set("maxclients", before)


@contextmanager
def launchdarkly_frozen(site: ServedSite) -> Iterator[None]:
    """LaunchDarkly accepts and never answers, also what would take events."""
    site.launchdarkly.hang()
    site.launchdarkly.drop_streams()
    try:
        yield
    finally:
        site.launchdarkly.recover()


@contextmanager
def another_writer(site: EmbeddedSite) -> Iterator[None]:
    """A long transaction writes to SQLite, and the cache is lost: flags need the database, and may not write."""
    database = sqlite3.connect(site.disk / "db.sqlite3", isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        shutil.rmtree(site.disk / "cache", ignore_errors=True)
        yield
    finally:
        database.close()


SERVED: dict[str, Callable[[ServedSite], AbstractContextManager[None]]] = {
    "our tables locked": locked,
    "PostgreSQL read-only": read_only,
    "Redis full": full,
    "Redis a replica": demoted,
    "Redis with another password": other_password,
    "Redis with too many clients": no_more_clients,
    "LaunchDarkly frozen": launchdarkly_frozen,
}
