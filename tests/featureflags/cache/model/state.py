"""The state of the model: what the database, each Redis and each process hold."""

from __future__ import annotations

from typing import NamedTuple

LIFE = 2
"""Ticks that a version lives from its lease on."""
NEVER = 1_000
UNCOMMITTED = 99
"""A value that a transaction has written and will roll back."""


class Version(NamedTuple):
    """What is stored as the version: a lease (`epoch` None), or an epoch. `born`: the tick of its lease."""

    token: str
    born: int
    epoch: int | None = None


class Entry(NamedTuple):
    """What is stored for the user: a lease (`value` None), or a value of an epoch."""

    token: str
    value: int | None = None
    epoch: int = 0


class Redis(NamedTuple):
    identity: int
    version: Version | None = None
    entry: Entry | None = None
    delivered: frozenset[int] = frozenset()
    """The outbox rows whose entries it has removed."""


class Database(NamedTuple):
    value: int = 0
    epoch: int = 1
    identity: int = 0
    outbox: frozenset[int] = frozenset()
    """The values whose rows are not deleted yet."""


class Actor(NamedTuple):
    """A process at one unit of work, before the step `at`."""

    kind: str
    """reader, warmer, writer, foreign; `old` and `replica` readers read an older database; `undecided`
    reads in a transaction that has written, and rolls it back."""
    at: str
    redis: int = 0
    floor: int = 0
    """What it must not answer less than."""
    epoch: int | None = None
    version_token: str | None = None
    token: str | None = None
    seen: Entry | None = None
    rows: frozenset[int] = frozenset()
    """Of the outbox: those at hand."""
    identity: int = 0
    value: int = 0
    has_deleted: bool = False
    """This renewal has read the outbox."""
    view: Database | None = None
    """The older database that it reads."""
    round: int = 0


class State(NamedTuple):
    database: Database
    redis: tuple[Redis, ...]
    actors: tuple[Actor, ...]
    now: int = 0
    floor: int = 0
    """What a read that begins now must not answer less than."""
    at_tick: int = 0
    """The value at the last tick."""
    image: Redis | None = None
    identities: int = 1
    is_prompt: bool = True
    """A write that has returned must be seen at once; else after two ticks."""
    promised_from: int = 0
    """Redis has lost what it had acknowledged: nothing is promised until this tick."""
    left: tuple[tuple[str, int], ...] = ()
    """Events, and how often each may still happen."""


class BrokenPromiseError(Exception):
    """A promise is broken."""


Rules = frozenset[str]
"""The rules that were taken out."""


def seen_by(state: State, actor: Actor) -> Database:
    return state.database if actor.view is None else actor.view


def living(redis: Redis, now: int) -> Version | None:
    version = redis.version
    return version if version is not None and now < version.born + LIFE else None


def with_redis(state: State, number: int, redis: Redis) -> State:
    return state._replace(redis=(*state.redis[:number], redis, *state.redis[number + 1 :]))
