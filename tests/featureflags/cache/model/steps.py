"""The steps of a reader (`protocol.read`, then `read_through.read_and_fill`) and of a writer."""

from __future__ import annotations

from tests.featureflags.cache.model.state import (
    NEVER,
    UNCOMMITTED,
    Actor,
    BrokenPromiseError,
    Entry,
    Rules,
    State,
    Version,
    living,
    seen_by,
    with_redis,
)


def begin_get(state: State, number: int, actor: Actor, without: Rules) -> State:
    """GET version and entry."""
    actor = actor._replace(floor=state.floor, round=actor.round + 1)
    if actor.kind == "old":
        actor = actor._replace(view=actor.view or state.database)
    redis = state.redis[actor.redis]
    if actor.kind == "undecided" and "own_writes" not in without:
        return _next(state, number, actor, "snapshots_and")
    version = living(redis, state.now)
    if "get_again" in without:
        actor = actor._replace(seen=redis.entry)
    if version is None or version.epoch is None:
        return _next(state, number, actor, "lease_version")
    return _found(state, number, actor._replace(epoch=version.epoch), redis.entry, without)


def lease_version(state: State, number: int, actor: Actor, without: Rules) -> State:
    """The identity of the cache, and a lease where no version is stored: one round trip."""
    redis = state.redis[actor.redis]
    version = living(redis, state.now)
    actor = actor._replace(identity=redis.identity)
    if version is not None and version.epoch is not None:
        return _next(state, number, actor._replace(epoch=version.epoch), "begin_get_again")
    if version is None:
        version = Version(f"v{number}.{actor.round}", state.now)
        state = with_redis(state, actor.redis, redis._replace(version=version))
    actor = actor._replace(version_token=version.token)
    return _next(state, number, actor, "in_force")


def in_force(state: State, number: int, actor: Actor, without: Rules) -> State:
    """SELECT version, epoch, identity and whether the outbox is empty."""
    database = seen_by(state, actor)
    if actor.view is not None and "is_current_version" not in without:
        # An older snapshot, or a replica.
        return _next(state, number, actor._replace(epoch=None), "snapshots_and")
    actor = actor._replace(epoch=database.epoch, rows=database.outbox)
    if database.identity != actor.identity and "identity" not in without:
        return _next(state, number, actor, "adopt")
    return _after_epoch(state, number, actor, without)


def adopt(state: State, number: int, actor: Actor, without: Rules) -> State:
    """UPDATE epoch + 1 and identity, if nobody else has."""
    database, seen = state.database, actor.epoch or 0
    if database.epoch != seen and "one_adopts" not in without:
        # The code begins its renewal once more. That is like a reader that has paused until now.
        return _next(state, number, actor._replace(epoch=None), "snapshots_and")
    epoch = max(database.epoch, seen) + 1 if database.epoch == seen else seen + 1
    database = database._replace(epoch=epoch, identity=actor.identity)
    state = state._replace(database=database)
    actor = actor._replace(epoch=epoch)
    return _after_epoch(state, number, actor, without)


def take_delivered(state: State, number: int, actor: Actor, without: Rules) -> State:
    """The rows that were delivered to this cache, which are gone from it then; its identity."""
    redis = state.redis[actor.redis]
    state = with_redis(state, actor.redis, redis._replace(delivered=frozenset()))
    actor = actor._replace(rows=redis.delivered, identity=redis.identity)
    if not actor.rows:
        return _after_delete(state, number, actor, without)
    return _next(state, number, actor, "delete")


def delete(state: State, number: int, actor: Actor, without: Rules) -> State:
    """DELETE the rows of the outbox, if the database names this cache."""
    database = state.database
    if database.identity == actor.identity or "delete_if_named" in without:
        state = state._replace(database=database._replace(outbox=database.outbox - actor.rows))
    return _after_delete(state, number, actor, without)


def pending(state: State, number: int, actor: Actor, without: Rules) -> State:
    """SELECT the rows of the outbox."""
    actor = actor._replace(rows=seen_by(state, actor).outbox, has_deleted=True)
    if not actor.rows:
        return _next(state, number, actor, "in_force_again")
    return _next(state, number, actor, _first_of_notify(without))


def in_force_again(state: State, number: int, actor: Actor, without: Rules) -> State:
    """SELECT the epoch: rows may have been deleted for another cache, which has begun another one."""
    if seen_by(state, actor).epoch != actor.epoch and "same_epoch" not in without:
        return _next(state, number, actor._replace(epoch=None), "snapshots_and")
    return _next(state, number, actor, "publish")


def remove(state: State, number: int, actor: Actor, without: Rules) -> State:
    """UNLINK the entry."""
    redis = state.redis[actor.redis]
    state = with_redis(state, actor.redis, redis._replace(entry=None))
    if "remove_first" in without:
        return _returned(state, number, actor)
    return _next(state, number, actor, "keep_delivered")


def keep_delivered(state: State, number: int, actor: Actor, without: Rules) -> State:
    """Have the cache keep the rows. With `remove` one round trip, in which others come between."""
    redis = state.redis[actor.redis]
    kept = redis.delivered | actor.rows
    state = with_redis(state, actor.redis, redis._replace(delivered=kept))
    if actor.kind == "writer" and "remove_after_commit" in without:
        return _next(state, number, actor, "commit")
    if "remove_first" in without:
        return _next(state, number, actor, "remove")
    return _returned(state, number, actor)


def publish(state: State, number: int, actor: Actor, without: Rules) -> State:
    """Store version and epoch over the lease, for what is left of its life."""
    redis = state.redis[actor.redis]
    version = living(redis, state.now)
    is_ours = version is not None and version.token == actor.version_token
    if is_ours or "publish_over_lease" in without:
        # A SET with KEEPTTL where nothing is stored never expires.
        born = NEVER if version is None else version.born
        if "keep_lifetime" in without:
            born = state.now
        token = f"p{number}.{actor.round}"
        stored = Version(token, born, actor.epoch)
        state = with_redis(state, actor.redis, redis._replace(version=stored))
    return _next(state, number, actor, "begin_get_again")


def begin_get_again(state: State, number: int, actor: Actor, without: Rules) -> State:
    """GET the entry again: it may have been removed since."""
    entry = actor.seen if "get_again" in without else state.redis[actor.redis].entry
    return _found(state, number, actor, entry, without)


def lease(state: State, number: int, actor: Actor, without: Rules) -> State:
    """A lease where nothing is stored; what is stored then."""
    redis = state.redis[actor.redis]
    entry = redis.entry
    if entry is None:
        entry = Entry(f"l{number}.{actor.round}")
        state = with_redis(state, actor.redis, redis._replace(entry=entry))
    actor = actor._replace(token=entry.token)
    return _next(state, number, actor, "put" if "lease_first" in without else "snapshots_and")


def snapshots_and(state: State, number: int, actor: Actor, without: Rules) -> State:
    """SELECT the row, and whether it may be kept."""
    database = seen_by(state, actor)
    actor = actor._replace(value=UNCOMMITTED if actor.kind == "undecided" else database.value)
    if actor.kind not in {"undecided", "old", "replica"}:
        _answer(actor, actor.value)
    may_keep = actor.view is None or "is_current_row" in without
    if actor.kind == "undecided":
        may_keep = "own_writes" in without
    if not may_keep or actor.epoch is None:
        return _next(state, number, actor, "done")
    return _next(state, number, actor, "lease" if "lease_first" in without else "put")


def put(state: State, number: int, actor: Actor, without: Rules) -> State:
    """Compare-and-swap the entry over what was seen before the row was read."""
    redis = state.redis[actor.redis]
    entry = redis.entry
    is_seen = entry is not None and entry.token == actor.token
    may_write = is_seen
    if "never_add" in without:
        may_write = is_seen or entry is None
    if "compare" in without:
        may_write = True
    if may_write:
        # The row may have had this value before.
        token = f"e{actor.value % 2}" if "unique_bytes" in without else f"e{number}.{actor.round}"
        epoch = state.database.epoch if "epoch_before_row" in without else actor.epoch or 0
        stored = Entry(token, actor.value, epoch)
        state = with_redis(state, actor.redis, redis._replace(entry=stored))
    return _next(state, number, actor, "done")


AFTER_RENEWAL = {"begin_get_again", "lease", "snapshots_and", "put"}
"""Steps of a reader that has a version, or does without one."""

# A writer. A foreign one only commits: triggers fill the outbox.


def commit(state: State, number: int, actor: Actor, without: Rules) -> State:
    """COMMIT the row with its outbox row."""
    database = state.database
    value = database.value + 1
    outbox = database.outbox if "outbox" in without else database.outbox | {value}
    state = state._replace(database=database._replace(value=value, outbox=outbox))
    actor = actor._replace(rows=frozenset({value}))
    if actor.kind == "foreign":
        return _next(state, number, actor, "done")
    if "remove_after_commit" in without:
        return _returned(state, number, actor)
    return _next(state, number, actor, _first_of_notify(without))


def _next(state: State, number: int, actor: Actor, at: str) -> State:
    """After the step of this process, which goes on with `at`.

    It forgets what matters no more: so there are fewer states.
    """
    if at == "done":
        actor = Actor(actor.kind, "done", redis=actor.redis, round=actor.round, view=actor.view)
    elif at in AFTER_RENEWAL:
        actor = actor._replace(
            at=at, version_token=None, identity=0, rows=frozenset(), has_deleted=False
        )
    else:
        actor = actor._replace(at=at)
    actors = (*state.actors[:number], actor, *state.actors[number + 1 :])
    return state._replace(actors=actors)


def _after_epoch(state: State, number: int, actor: Actor, without: Rules) -> State:
    at = "take_delivered" if actor.rows and "pump" not in without else "publish"
    return _next(state, number, _without_rows(actor), at)


def _without_rows(actor: Actor) -> Actor:
    """Which rows it had, and of which cache, matters no more."""
    return actor._replace(rows=frozenset(), identity=0)


def _first_of_notify(without: Rules) -> str:
    return "keep_delivered" if "remove_first" in without else "remove"


def _after_delete(state: State, number: int, actor: Actor, without: Rules) -> State:
    """A writer has nothing left to do; a renewal deletes before and after it notifies."""
    if actor.kind == "writer":
        return _next(state, number, actor, "done")
    at = "in_force_again" if actor.has_deleted else "pending"
    return _next(state, number, _without_rows(actor), at)


def _returned(state: State, number: int, actor: Actor) -> State:
    """The cache is notified: a renewal goes on, a write returns.

    A writer may delete rows afterwards: in the model each does, and may stop before.
    """
    if actor.kind == "writer" and state.is_prompt and state.now >= state.promised_from:
        state = state._replace(floor=max(state.floor, *actor.rows))
    return _next(state, number, actor, "take_delivered")


def _found(state: State, number: int, actor: Actor, entry: Entry | None, without: Rules) -> State:
    is_hit = (
        entry is not None
        and entry.value is not None
        and (entry.epoch == actor.epoch or "epoch" in without)
    )
    if is_hit and entry is not None and actor.kind != "warmer":
        _answer(actor, entry.value or 0)
        return _next(state, number, actor, "done")
    if entry is not None and not {"lease_first", "get_again"} & without:
        return _next(state, number, actor._replace(token=entry.token), "snapshots_and")
    return _next(state, number, actor, "snapshots_and" if "lease_first" in without else "lease")


def _answer(actor: Actor, value: int) -> None:
    if value < actor.floor or value == UNCOMMITTED:
        raise BrokenPromiseError(f"answered: {value}, promised: {actor.floor}")


STEPS = {
    each.__name__: each
    for each in (
        *(begin_get, lease_version, in_force, adopt, take_delivered, delete, pending, remove),
        *(keep_delivered, in_force_again, publish),
        *(begin_get_again, lease, snapshots_and, put, commit),
    )
}
