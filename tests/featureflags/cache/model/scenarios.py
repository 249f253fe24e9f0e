"""The small cases, and the rules of the protocol that can be taken out."""

from __future__ import annotations

from collections.abc import Mapping

from tests.featureflags.cache.model.state import Actor, Database, Entry, Redis, State, Version

WARM = Redis(0, version=Version("p", 0, 1), entry=Entry("e0", 0, 1))
"""A version and an entry, both as the database has them."""
EXPIRED = Redis(0, entry=Entry("e0", 0, 1))
COLD = Redis(0)


def _start(
    *kinds: str,
    redis: Redis = WARM,
    second: Redis | None = None,
    is_prompt: bool = True,
    paused: Actor | None = None,
    database: Database = Database(),  # noqa: B008 - it is immutable
    **events: int,
) -> State:
    """`kinds`: the processes; those with a `2` use the second Redis. `paused`: one that has begun."""
    return State(
        database=database,
        redis=(redis,) if second is None else (redis, second),
        actors=(*map(_actor, kinds), *(() if paused is None else (paused,))),
        is_prompt=is_prompt,
        identities=2,
        left=tuple(events.items()),
    )


def _actor(kind: str) -> Actor:
    name = kind.rstrip("2")
    at = "commit" if name in {"writer", "foreign"} else "begin_get"
    view = Database() if name == "replica" else None
    return Actor(name, at, redis=int(kind.endswith("2")), view=view)


SCENARIOS: Mapping[str, State] = {
    "two readers and a writer": _start("reader", "reader", "writer", redis=COLD),
    "two writers": _start("reader", "writer", "writer"),
    "eviction": _start("reader", "reader", "writer", evict_version=1, evict_entry=1),
    "a flush": _start("reader", "reader", "writer", flush=1),
    "a restart": _start("reader", "writer", tick=2, restart=1),
    "an older image, or a failover": _start("reader", "writer", tick=3, save=1, restore=1),
    "two Redis": _start(
        *("reader2", "reader2", "writer"), second=Redis(1), is_prompt=False, tick=2
    ),
    "a pause before the epoch": _start(
        *("foreign", "reader2", "reader"),
        redis=Redis(0, entry=Entry("e0", 0, 2)),
        second=Redis(1),
        is_prompt=False,
        paused=Actor("reader", "adopt", epoch=1),
        database=Database(epoch=2),
        tick=2,
    ),
    "a pause before the fill": _start(
        *("foreign", "reader2", "reader"),
        redis=Redis(0, entry=Entry("l")),
        second=Redis(1),
        is_prompt=False,
        paused=Actor("reader", "put", epoch=1, token="l"),
        tick=2,
    ),
    "a foreign writer": _start("reader", "reader", "foreign", redis=EXPIRED, tick=2),
    "a foreign writer and ours": _start("reader", "foreign", "writer", tick=2, evict_version=1),
    "a warmer": _start("warmer", "reader", "writer", "writer"),
    "a warmer, eviction and a foreign writer": _start(
        "warmer", "foreign", evict_entry=2, evict_version=1, tick=3
    ),
    "an older snapshot": _start("old", "reader", "writer", evict_version=1),
    "a replica": _start("replica", "reader", "foreign", redis=EXPIRED, tick=2),
    "a rollback": _start("undecided", "reader", "writer", evict_version=1),
}

RULES: Mapping[str, tuple[str, str]] = {
    "never_add": ("eviction", "a fill writes only over a token, never where nothing is stored"),
    "compare": ("two readers and a writer", "a fill writes only over what was seen"),
    "lease_first": ("two readers and a writer", "the token is seen before the row is read"),
    "unique_bytes": ("a warmer", "two fills never write the same bytes"),
    "keep_lifetime": ("a foreign writer", "the version's life counts from its lease"),
    "publish_over_lease": ("a foreign writer", "the version is published over the lease alone"),
    "get_again": ("a foreign writer", "after a renewal the entries are read again"),
    "pump": ("a foreign writer", "a renewal notifies the cache of what is in the outbox"),
    "outbox": ("a foreign writer", "each write fills the outbox"),
    "remove_after_commit": (
        "two readers and a writer",
        "a write notifies the cache after its commit",
    ),
    "remove_first": ("a foreign writer", "a row counts as delivered after its entry was removed"),
    "same_epoch": (
        "a pause before the epoch",
        "after a renewal has worked through the outbox, its epoch still is in force",
    ),
    "identity": ("an older image, or a failover", "another cache begins another epoch"),
    "epoch": ("an older image, or a failover", "a hit is of the version's epoch"),
    "epoch_before_row": (
        "a pause before the fill",
        "the epoch of a fill is known before the row is read",
    ),
    "one_adopts": (
        "a pause before the epoch",
        "a process that lost the race for an epoch uses none",
    ),
    "delete_if_named": ("two Redis", "the outbox row stays if the database names another cache"),
    "is_current_row": ("an older snapshot", "rows of an older snapshot or a replica are not kept"),
    "is_current_version": ("a replica", "a version of a replica or an older snapshot is not used"),
    "own_writes": ("a rollback", "a transaction that has written goes past the cache"),
}
"""By name: the case in which its absence shows, and what it says."""
