"""From whomever a flag is asked for to their context, by the first layer that knows them.

A loaded user is used as it is. Otherwise the unit's memo, the shared cache, the database, the
spare of the cache, and last a bare context with only the user's key. Nothing here raises into a
page, and nothing that failed is kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import msgspec
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.functional import LazyObject

from featureflags.cache import answer_counters, context_memo, pending_invalidations, snapshot_store
from featureflags.cache.compiled_rules import (
    LoadedRuleset,
    current_ruleset,
    last_ruleset,
    recent_ruleset,
)
from featureflags.cache.read_through import read_and_fill, read_rows
from featureflags.cache.snapshot_store import CacheRead
from featureflags.cache.unit_of_work import UnitOfWork, current_unit
from featureflags.contexts.building import (
    UserContext,
    bare_context,
    user_context,
    visitor_context,
    with_anonymous_key,
)
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core.types import MICROSECONDS_PER_SECOND
from featureflags.evaluation.arguments import Subject, canonical_key, visitor_text
from featureflags.evaluation.visitors import known_visitor_key, visitor_key
from featureflags.launchdarkly.client import is_looking
from users.models import User
from users.requests import loaded_user, session_user_key
from users.selectors import snapshot_of
from users.snapshots import UserSnapshot
from users.times import now_in_microseconds

RETRY_AFTER = MICROSECONDS_PER_SECOND
"""Within a unit, the database is asked again so long after it failed (µs): a page that asks for
ten flags waits once for a server that hangs."""


def resolve(
    subject: Subject,
    *,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> UserContext:
    """The context of `subject`; without one, of whoever is behind `request`; else of a visitor.

    Raises TypeError for a subject that is none.
    """
    if request is None and anonymous_key is None and (unit := current_unit()) is not None:
        known = unit.recall(subject)
        if known is not None:
            return known
    # DRF wraps the request; its memos and the visitor's cookie belong to Django's own.
    request = getattr(request, "_request", request)
    if request is None and _is_lazy(subject):
        request = _request_of(subject)
    if request is not None and (subject is None or _is_lazy(subject)):
        return _of_request(request)
    if subject is None or isinstance(subject, AnonymousUser):
        key = visitor_key(request) if request is not None else visitor_text(anonymous_key)
        return visitor_context(key)
    visitor = known_visitor_key(request) if request is not None else visitor_text(anonymous_key)
    return _visited(_of_known(subject), visitor)


def contexts_for(keys: Iterable[str]) -> dict[str, UserContext]:
    """The contexts of many users by key: one round trip to the cache, one query for the rest."""
    wanted = list(dict.fromkeys(canonical_key(key) for key in keys))
    unit = current_unit()
    found: dict[str, UserContext] = {}
    if unit is not None:
        found = {key: known for key in wanted if (known := unit.recall(key)) is not None}
    missing = [key for key in wanted if key not in found]
    if missing:
        found.update(_fetch(missing, unit))
    return {key: found[key] for key in wanted}


def _of_known(subject: User | uuid.UUID | str, *, keep_row: bool = False) -> UserContext:
    if not isinstance(subject, User):
        key = canonical_key(subject)
        return contexts_for([key])[key]
    unit = current_unit()
    known = unit.recall(subject) if unit is not None else None
    if known is not None:
        return known
    key = str(subject.pk)
    known = unit.recall(key) if unit is not None else None
    if known is None:
        known = _of_loaded(subject, key, unit, keep_row=keep_row)
    if unit is not None and not known.degraded:
        unit.keep(key, known, primary_key=subject.pk)
    return known


def _of_loaded(user: User, key: str, unit: UnitOfWork | None, *, keep_row: bool) -> UserContext:
    """From the row that the caller has loaded, as it is."""
    try:
        snapshot = snapshot_of(user)
    except DatabaseError as error:
        # The user was loaded without their groups, or with columns left out.
        pending_invalidations.report_database(error)
        return contexts_for([key])[key]
    loaded = unit.ruleset(now_in_microseconds()) if unit is not None else None
    if loaded is None and (recent := recent_ruleset()) is not None:
        # Whoever saves the read of the version saves that of the row too.
        loaded, keep_row = recent, False
    if loaded is None or keep_row:
        return _keep(unit, _asking(snapshot, unit, loaded, keep_row=keep_row))
    return _keep(unit, _single_context(snapshot, loaded, ContextSource.LOADED))


def _asking(
    snapshot: UserSnapshot, unit: UnitOfWork | None, known: LoadedRuleset | None, *, keep_row: bool
) -> UserContext:
    """The context by the rules in force. While the cache says which these are, it is made by the
    last ones, which they nearly always are; where they are not, it is made again."""
    reading = pending_invalidations.CoherentRead([snapshot.key] if keep_row else ())
    try:
        guessed = last_ruleset() if known is None else known
        context = None
        if guessed is not None:
            context = _single_context(snapshot, guessed, ContextSource.LOADED)
        read = reading.result()
    finally:
        reading.close()
    if keep_row and snapshot.key not in read.fresh:
        _keep_row(snapshot.key, read)
    loaded = _ruleset(unit, read)
    if context is None or loaded is not guessed:
        context = _single_context(snapshot, loaded, ContextSource.LOADED)
    return context


def _keep_row(key: str, read: snapshot_store.CacheRead) -> None:
    """Put whoever is behind a request into the cache: when the database is down, only the session
    says who it is. From the row, since a loaded user may carry changes that are never saved."""
    if not read.failed:
        read_and_fill([key], read)


def _of_request(request: HttpRequest) -> UserContext:
    user = loaded_user(request)
    if user is None:
        try:
            user = request.user if request.user.is_authenticated else AnonymousUser()
        except DatabaseError as error:
            pending_invalidations.report_database(error)
            return _of_session(request)
    if isinstance(user, User):
        return _visited(_of_known(user, keep_row=True), known_visitor_key(request))
    return visitor_context(visitor_key(request))


def _of_session(request: HttpRequest) -> UserContext:
    """The database is down: who it is, on the word of a session that the cache still has."""
    try:
        key = session_user_key(request)
    except DatabaseError:
        return visitor_context(visitor_key(request), Degradation.SESSION_UNAVAILABLE)
    if key is None:
        return visitor_context(visitor_key(request))
    return _visited(contexts_for([key])[canonical_key(key)], known_visitor_key(request))


def _visited(context: UserContext, visitor: str | None) -> UserContext:
    """The same user with the key of the visitor they were, if they were one."""
    if visitor is None:
        return context
    unit, key = current_unit(), context.context.key
    known = unit.recall_visited(key, visitor) if unit is not None else None
    if known is None:
        known = with_anonymous_key(context, visitor)
        if unit is not None and not known.degraded:
            unit.keep_visited(key, visitor, known)
    return known


def _is_lazy(subject: object) -> bool:
    """Whether it is Django's `request.user`, which loads the user when it is looked at."""
    return issubclass(type(subject), LazyObject)


def _request_of(subject: object) -> HttpRequest | None:
    """The request of this unit, if `subject` is its lazy `request.user`."""
    unit = current_unit()
    if unit is None or unit.request is None:
        return None
    return unit.request if unit.request.__dict__.get("user") is subject else None


def _fetch(keys: list[str], unit: UnitOfWork | None) -> dict[str, UserContext]:
    read = pending_invalidations.read(keys)
    loaded = _ruleset(unit, read)
    # A batch would only push out whoever comes back.
    make = _single_context if len(keys) == 1 else _context
    contexts = {
        key: make(snapshot, loaded, ContextSource.CACHE) for key, snapshot in read.fresh.items()
    }
    missing = [key for key in keys if key not in contexts]
    if missing:
        contexts.update(_from_database(missing, read, loaded))
    if not is_looking():
        answer_counters.count_found(context.source for context in contexts.values())
    return {key: _keep(unit, contexts[key]) for key in keys}


def _from_database(
    keys: list[str], read: CacheRead, loaded: LoadedRuleset
) -> dict[str, UserContext]:
    found = read_rows(keys, read)
    if found is None:
        return {key: _last_known(key, read, loaded) for key in keys}
    return {
        key: _context(found.snapshots[key], loaded, found.source)
        if key in found.snapshots
        else bare_context(key, Degradation.NO_SUCH_USER)
        for key in keys
    }


def _last_known(key: str, read: snapshot_store.CacheRead, loaded: LoadedRuleset) -> UserContext:
    spare = read.spare.get(key)
    if spare is None:
        return bare_context(key, Degradation.USER_UNAVAILABLE)
    return _context(spare, loaded, ContextSource.SPARE, Degradation.USER_STALE)


def _context(
    snapshot: UserSnapshot, loaded: LoadedRuleset, source: ContextSource, *degraded: Degradation
) -> UserContext:
    if loaded.degraded is not None:
        degraded = (*degraded, loaded.degraded)
    now = now_in_microseconds()
    return user_context(snapshot, loaded.ruleset, now, source=source, degraded=degraded)


def _single_context(
    snapshot: UserSnapshot, loaded: LoadedRuleset, source: ContextSource
) -> UserContext:
    """As `_context`; computed only where this process has not just done so."""
    if loaded.degraded is not None:
        return _context(snapshot, loaded, source)
    context = context_memo.recall(snapshot, loaded.ruleset)
    if context is None:
        context = _context(snapshot, loaded, source)
        context_memo.keep(snapshot, loaded.ruleset, context)
    elif context.source is not source:
        context = msgspec.structs.replace(context, source=source)
    return context


def _ruleset(unit: UnitOfWork | None, read: CacheRead) -> LoadedRuleset:
    if unit is None:
        return current_ruleset(read)
    now = now_in_microseconds()
    loaded = unit.ruleset(now)
    if loaded is None:
        loaded = current_ruleset(read)
        unit.keep_ruleset(loaded, None if loaded.degraded is None else now + RETRY_AFTER)
    return loaded


def _keep(unit: UnitOfWork | None, context: UserContext) -> UserContext:
    """Remember for the rest of the unit; what failed only for a second, since it may heal."""
    if unit is not None:
        until = now_in_microseconds() + RETRY_AFTER
        kept = msgspec.structs.replace(context, valid_until=until) if context.degraded else context
        unit.keep(context.context.key, kept)
    return context
