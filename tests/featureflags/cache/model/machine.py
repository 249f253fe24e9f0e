"""What may happen next in the model: a step of each process, and the events of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.featureflags.cache.model.state import (
    LIFE,
    UNCOMMITTED,
    BrokenPromiseError,
    Redis,
    Rules,
    State,
    living,
    with_redis,
)
from tests.featureflags.cache.model.steps import STEPS

Moves = Iterator[tuple[str, Callable[[], State]]]


def moves(state: State, without: Rules) -> Moves:
    """Every step that a process may do now, and every event: its name, and what does it."""
    for number, actor in enumerate(state.actors):
        if actor.at != "done":
            step = partial(STEPS[actor.at], state, number, actor, without)
            yield f"{number}:{actor.kind}.{actor.at}", step
    for event, times in state.left:
        if times and can_happen(event, state):
            yield event, partial(happen, event, state)


def check(state: State) -> None:
    """What is stored would not be answered if it is too old. Raises BrokenPromiseError."""
    for redis in state.redis:
        version, entry = living(redis, state.now), redis.entry
        if version is None or version.epoch is None or entry is None or entry.value is None:
            continue
        if entry.epoch == version.epoch and not state.floor <= entry.value < UNCOMMITTED:
            raise BrokenPromiseError(f"stored: {entry.value}, promised: {state.floor}")


def tick(state: State) -> State:
    """Two seconds pass: what was committed before the tick before this one must be seen now."""
    now = state.now + 1
    floor = state.floor if now < state.promised_from else max(state.floor, state.at_tick)
    redis = tuple(each._replace(version=living(each, now)) for each in state.redis)
    return state._replace(now=now, at_tick=state.database.value, floor=floor, redis=redis)


def evict_version(state: State) -> State:
    return with_redis(state, 0, state.redis[0]._replace(version=None))


def evict_entry(state: State) -> State:
    return with_redis(state, 0, state.redis[0]._replace(entry=None))


def flush(state: State) -> State:
    """FLUSHALL: empty, and the same Redis."""
    return with_redis(state, 0, Redis(state.redis[0].identity))


def restart(state: State) -> State:
    """Empty, and another Redis."""
    return _reborn(state, Redis(0))


def save(state: State) -> State:
    """An image is taken; or a replica stops to follow."""
    return state._replace(image=state.redis[0])


def restore(state: State) -> State:
    """An older image is restored; or that replica takes over. What was acknowledged since is lost."""
    image = state.image or Redis(0)
    actors = tuple(each._replace(floor=0) for each in state.actors)
    promised_from = state.now + LIFE
    state = state._replace(floor=0, actors=actors, promised_from=promised_from, image=None)
    return _reborn(state, image)


EVENTS = {
    each.__name__: each
    for each in (tick, evict_version, evict_entry, flush, restart, save, restore)
}


def can_happen(event: str, state: State) -> bool:
    redis = state.redis[0]
    needs = {
        "evict_version": redis.version,
        "evict_entry": redis.entry,
        "restore": state.image,
        "save": redis.version or redis.entry,
    }
    return needs.get(event, True) is not None


def happen(event: str, state: State) -> State:
    left = tuple((name, times - (name == event)) for name, times in state.left)
    return EVENTS[event](state)._replace(left=left)


def _reborn(state: State, redis: Redis) -> State:
    """Another Redis with this content."""
    identity = state.identities
    state = state._replace(identities=identity + 1)
    return with_redis(state, 0, redis._replace(identity=identity))
