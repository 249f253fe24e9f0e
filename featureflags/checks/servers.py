"""Checks of the servers that never stale depends on, with `manage.py check --database default`.

docs/operators/never-stale.md lists what each finding costs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from django.core.cache import caches
from django.core.checks import (
    CheckMessage,
    Error,
    Tags,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.db import DatabaseError, connections, transaction
from django.utils.module_loading import import_string

from featureflags.core.conf import app_settings
from featureflags.core.database import primary
from featureflags.models.versions import RulesetVersion

IDENTITY: Final = ("run_id", "master_replid")
OLDER_SNAPSHOT: Final = ("repeatable read", "serializable")


@register("featureflags", Tags.database)
def check_cache_server(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E041: a Redis that cannot keep the promises. W044: it refuses entries once it is full. W045: it
    writes to its disk what nobody uses. One INFO; nothing where the cache is not a Redis."""
    cache = caches[app_settings().cache] if app_settings().cache in caches.settings else None
    # Only `featureflags.cache.backends.redis` has it, which is imported where CACHES names it.
    facts = getattr(cache, "facts", None)
    if not databases or facts is None:
        return []
    # Its client is installed then, and no start without a Redis imports it.
    refused: type[Exception] = import_string("redis.exceptions.RedisError")
    try:
        return list(_of_redis(facts()))
    except refused:
        return []  # It is away, which `/readyz` says.


@register("featureflags", Tags.database)
def check_isolation(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W046: transactions see an older snapshot. E043: writes go to a replica. One query."""
    alias = primary(RulesetVersion)
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_isolation'), pg_is_in_recovery()")
            level, is_replica = cursor.fetchone()
    except DatabaseError:
        return []  # Django's own checks say that the database cannot be asked.
    return list(_of_database(alias, level, is_replica=is_replica))


def _of_redis(facts: Mapping[str, str]) -> Iterator[CheckMessage]:
    if any(not facts.get(name) for name in IDENTITY):
        yield _error("does not say who it is: INFO lacks run_id or master_replid.")
    elif facts.get("redis_mode") == "cluster":
        yield _error("is a cluster: the version and the entries must be on one node.")
    elif facts.get("role") not in {None, "master"}:
        yield _error("is a replica: it takes no writes.")
    if facts.get("maxmemory_policy") == "noeviction" and facts.get("maxmemory") != "0":
        yield Warning(
            "The cache's Redis has maxmemory-policy noeviction: once it is full it takes no entry, "
            "and every check asks the database.",
            hint="Use allkeys-lru. The broker needs a Redis of its own, with noeviction.",
            id="featureflags.W044",
        )
    if facts.get("aof_enabled") == "1":
        yield Warning(
            "The cache's Redis has appendonly yes: after a restart its entries count as old, so "
            "the file is written for nobody.",
            hint='Use --save "" --appendonly no. The broker needs a Redis of its own.',
            id="featureflags.W045",
        )


def _of_database(alias: str, level: str, *, is_replica: bool) -> Iterator[CheckMessage]:
    if is_replica:
        yield Error(
            f"DATABASES[{alias!r}] is a replica: nothing that it says is put into the cache.",
            hint="Let writes go to the primary.",
            id="featureflags.E043",
        )
    if level in OLDER_SNAPSHOT:
        yield Warning(
            f"Transactions of DATABASES[{alias!r}] run at {level.upper()}: each answers from its own "
            "snapshot, and puts nothing into the cache after its first statement.",
            hint="Use READ COMMITTED by default, and the stricter level where it is needed.",
            id="featureflags.W046",
        )


def _error(why: str) -> CheckMessage:
    return Error(
        f"The cache's Redis {why}",
        hint="Use one Redis without cluster mode, and its primary.",
        id="featureflags.E041",
    )
