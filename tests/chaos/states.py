"""What may happen to a server, and how it ends: each state is a context manager over a site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import psycopg

from tests.chaos.site import Site
from tests.services.guarded import GuardedServer

StateOf = Callable[[Site], AbstractContextManager[None]]


@contextmanager
def _frozen(server: GuardedServer) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def _killed(server: GuardedServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _both(one: AbstractContextManager[None], other: AbstractContextManager[None]) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(one)
        stack.enter_context(other)
        yield


@contextmanager
def _locked(site: Site) -> Iterator[None]:
    """The table of users, as a migration would lock it."""
    with psycopg.connect(site.postgres.url) as other:
        other.execute("LOCK TABLE users_user IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def _exhausted(site: Site) -> Iterator[None]:
    """Every connection of PostgreSQL is taken, and those of the site are cut."""
    with psycopg.connect(site.postgres.url, autocommit=True) as other, ExitStack() as taken:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        try:
            while True:
                taken.enter_context(psycopg.connect(site.postgres.url))
        except psycopg.OperationalError:
            yield


@contextmanager
def _launchdarkly_503(site: Site) -> Iterator[None]:
    site.launchdarkly.answer(503)
    site.launchdarkly.drop_streams()
    try:
        yield
    finally:
        site.launchdarkly.recover()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    name: str
    begin: StateOf
    is_short: bool = False
    """Part of the short form, which `make test` runs."""


STATES = (
    State(name="PostgreSQL killed", begin=lambda site: _killed(site.postgres), is_short=True),
    State(name="PostgreSQL frozen", begin=lambda site: _frozen(site.postgres), is_short=True),
    State(name="users_user locked", begin=_locked),
    State(name="connections exhausted", begin=_exhausted),
    State(name="Redis killed", begin=lambda site: _killed(site.cache), is_short=True),
    State(name="Redis frozen", begin=lambda site: _frozen(site.cache), is_short=True),
    State(
        name="both killed",
        begin=lambda site: _both(_killed(site.postgres), _killed(site.cache)),
    ),
    State(
        name="both frozen",
        begin=lambda site: _both(_frozen(site.postgres), _frozen(site.cache)),
        is_short=True,
    ),
    State(name="broker frozen", begin=lambda site: _frozen(site.broker)),
    State(name="LaunchDarkly 503", begin=_launchdarkly_503),
)
