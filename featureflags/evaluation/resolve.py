"""From a user, a key or a request to a context: the first layer that knows the user answers.

    identify     who is asked for (`subjects`)
    unit's memo  asked first, written last
    snapshot     the loaded user, else the shared cache, the database, the cache's spare,
                 and last the user's key alone
    rules        the version in force, read in the same round trip as the snapshot
    context      snapshot and rules, computed; or remembered, if both are equal (`context_memo`)

Nothing here raises into a page because a server is down, and nothing that failed is kept.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from time import time_ns

import msgspec
from django.db import DatabaseError
from django.http import HttpRequest

from featureflags.cache import context_memo, counters, protocol
from featureflags.cache.compiled_rules import LoadedRuleset, current_ruleset, recent_ruleset
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
from featureflags.core.monitoring import report
from featureflags.core.types import MICROSECONDS_PER_SECOND
from featureflags.evaluation.arguments import Subject, canonical_key
from featureflags.evaluation.subjects import identify
from featureflags.evaluation.visitors import note_own_user
from featureflags.launchdarkly.client import is_looking
from users.models import User
from users.selectors import UnreadableUser, snapshot_of
from users.snapshots import UserSnapshot

logger = logging.getLogger(__name__)

RETRY_AFTER = MICROSECONDS_PER_SECOND
"""Within a unit, the database is asked again so long after it failed (µs): a page that asks for
ten flags waits once for a server that hangs."""

_PLAIN = frozenset({User, str, uuid.UUID})
"""Types that identify a user by themselves."""


class Unresolved(msgspec.Struct, frozen=True):
    """A user whose context is not in the unit's memo."""

    user: User | uuid.UUID | str
    visitor: str | None
    keep_row: bool
    unit: UnitOfWork | None


def resolve(
    subject: Subject,
    *,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> UserContext:
    """The context of `subject`; without one, of the user behind `request`; else of a visitor.

    Raises TypeError for a subject of another type.
    """
    found = look_up(subject, request, anonymous_key)
    return found if type(found) is UserContext else make(found)  # type: ignore[arg-type]  # the rest


def look_up(
    subject: Subject, request: HttpRequest | None, anonymous_key: str | None
) -> UserContext | Unresolved:
    """The context, if the unit's memo has it or it is a visitor's; else what `make` needs.

    Asks no server, unless the user of the request is still to be loaded.
    """
    user: User | uuid.UUID | str = subject  # type: ignore[assignment]  # unless `identify` is asked
    visitor, keep_row = None, False
    if request is not None or anonymous_key is not None or type(subject) not in _PLAIN:
        who = identify(subject, request, anonymous_key)
        if who.user is None:
            return visitor_context(who.visitor, *who.degraded)
        user, visitor, keep_row = who.user, who.visitor, who.keep_row
    unit = current_unit()
    if unit is not None and (known := unit.recall(user, visitor)) is not None:
        return known
    return Unresolved(user, visitor, keep_row, unit)


def keys_to_read(found: Unresolved) -> list[str] | None:
    """What `make` reads from the cache; None: nothing, not even the version."""
    if not isinstance(found.user, User):
        return [canonical_key(found.user)]
    if _known_rules(found.unit) is not None:
        return None
    return [str(found.user.pk)] if found.keep_row else []


def make(found: Unresolved, read: CacheRead | None = None) -> UserContext:
    """The context, which the unit keeps. `read`: what the cache holds of `keys_to_read`."""
    user, visitor, unit = found.user, found.visitor, found.unit
    note_own_user(user)
    if isinstance(user, User):
        context = _of_loaded(user, unit, read, keep_row=found.keep_row)
    else:
        key = canonical_key(user)
        context = _of_keys([key], unit, read)[key]
    if visitor is not None:
        context = with_anonymous_key(context, visitor)
    _keep(unit, user, visitor, context)
    return context


def contexts_for(keys: Iterable[str]) -> dict[str, UserContext]:
    """The contexts of many users by key: one round trip to the cache, one query for the rest."""
    wanted = list(dict.fromkeys(canonical_key(key) for key in keys))
    unit = current_unit()
    found: dict[str, UserContext] = {}
    if unit is not None:
        found = {key: known for key in wanted if (known := unit.recall(key)) is not None}
    missing = [key for key in wanted if key not in found]
    if missing:
        for key, context in _of_keys(missing, unit).items():
            found[key] = context
            _keep(unit, key, None, context)
    return {key: found[key] for key in wanted}


def _of_loaded(
    user: User, unit: UnitOfWork | None, read: CacheRead | None, *, keep_row: bool
) -> UserContext:
    """From the row that the caller has loaded, as it is."""
    if user.pk is None:
        raise ValueError("The user has no primary key, so that there is no key for their context.")
    key = canonical_key(str(user.pk))
    try:
        snapshot = snapshot_of(user)
    except DatabaseError as error:
        # The user was loaded without their groups, or with columns left out.
        protocol.report_database(error)
        return _of_keys([key], unit)[key]
    except UnreadableUser as error:
        message = "The field %r of a loaded user cannot be read. The stored user was used."
        report(logger, f"user_unreadable:{error.field}", message, error.field)
        stored = _of_keys([key], unit)[key]
        degraded = (*stored.degraded, Degradation.USER_UNREADABLE)
        return msgspec.structs.replace(stored, degraded=degraded)
    rules = _known_rules(unit)
    if rules is None:
        read = read or protocol.read([key] if keep_row else ())
        if keep_row and not read.failed and key not in read.fresh:
            # From the row: a loaded user may carry changes that are never saved.
            read_and_fill([key], read)
        rules = _rules(unit, read)
    return _context(snapshot, rules, ContextSource.LOADED)


def _of_keys(
    keys: list[str], unit: UnitOfWork | None, read: CacheRead | None = None
) -> dict[str, UserContext]:
    read = read or protocol.read(keys)
    rules = _known_rules(unit, lately=False) or _rules(unit, read)
    contexts = {
        # A batch would only push out users who come back.
        key: _context(snapshot, rules, ContextSource.CACHE, remember=len(keys) == 1)
        for key, snapshot in read.fresh.items()
    }
    missing = [key for key in keys if key not in contexts]
    if missing:
        contexts.update(_from_database(missing, read, rules))
    if not is_looking():
        counters.count_found(context.source for context in contexts.values())
    return contexts


def _from_database(
    keys: list[str], read: CacheRead, rules: LoadedRuleset
) -> dict[str, UserContext]:
    found = read_rows(keys, read)
    if found is None:
        return {key: _last_known(key, read, rules) for key in keys}
    return {
        key: _computed(found.snapshots[key], rules, found.source)
        if key in found.snapshots
        else bare_context(key, Degradation.NO_SUCH_USER)
        for key in keys
    }


def _last_known(key: str, read: CacheRead, rules: LoadedRuleset) -> UserContext:
    spare = read.spare.get(key)
    if spare is None:
        return bare_context(key, Degradation.USER_UNAVAILABLE)
    return _computed(spare, rules, ContextSource.SPARE, Degradation.USER_STALE)


def _known_rules(unit: UnitOfWork | None, *, lately: bool = True) -> LoadedRuleset | None:
    """The rules that the unit has read, or that the process has read `lately`, if settings allow."""
    known = unit.ruleset(time_ns() // 1000) if unit is not None else None
    return recent_ruleset() if known is None and lately else known


def _rules(unit: UnitOfWork | None, read: CacheRead) -> LoadedRuleset:
    """The rules in force, which the unit keeps."""
    rules = current_ruleset(read)
    if unit is not None:
        failed = rules.degraded is not None
        unit.keep_ruleset(rules, time_ns() // 1000 + RETRY_AFTER if failed else None)
    return rules


def _context(
    snapshot: UserSnapshot, rules: LoadedRuleset, source: ContextSource, *, remember: bool = True
) -> UserContext:
    """The context of a snapshot; computed only if this process has not just done so."""
    if rules.degraded is not None or not remember:
        return _computed(snapshot, rules, source)
    context = context_memo.recall(snapshot, rules.ruleset)
    if context is None:
        context = _computed(snapshot, rules, source)
        context_memo.keep(snapshot, rules.ruleset, context)
    elif context.source is not source:
        context = msgspec.structs.replace(context, source=source)
    return context


def _computed(
    snapshot: UserSnapshot, rules: LoadedRuleset, source: ContextSource, *degraded: Degradation
) -> UserContext:
    if rules.degraded is not None:
        degraded = (*degraded, rules.degraded)
    now = time_ns() // 1000
    return user_context(snapshot, rules.ruleset, now, source=source, degraded=degraded)


def _keep(
    unit: UnitOfWork | None,
    subject: User | uuid.UUID | str,
    visitor: str | None,
    context: UserContext,
) -> None:
    """Remember for the rest of the unit; what failed only for a second, since it may heal.

    An unknown user is not remembered: the unit itself may create them.
    """
    if unit is not None and Degradation.NO_SUCH_USER not in context.degraded:
        until = context.valid_until
        if context.degraded:
            until = time_ns() // 1000 + RETRY_AFTER
        unit.keep(subject, visitor, context, until)
