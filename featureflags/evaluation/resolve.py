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
from time import perf_counter

import msgspec
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest

from featureflags.cache import context_memo, protocol
from featureflags.cache.compiled_rules import LoadedRuleset, current_ruleset, recent_ruleset
from featureflags.cache.counters import FOUND_NAMES, count_found, flag_answers
from featureflags.cache.read_through import read_and_fill, read_rows
from featureflags.cache.snapshot_store import CacheRead
from featureflags.cache.unit_of_work import UnitOfWork, current_unit, unit_or_ended
from featureflags.contexts.building import (
    UserContext,
    bare_context,
    visitor_context,
    with_anonymous_key,
)
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core import timings
from featureflags.core.monitoring import report
from featureflags.evaluation import tracing
from featureflags.evaluation.arguments import Key, Subject, canonical_key
from featureflags.evaluation.subjects import identify, note_own_user
from featureflags.kinds.registry import user_kind
from featureflags.kinds.slots import NotLoaded, UnreadableRow
from featureflags.launchdarkly.client import is_looking

logger = logging.getLogger(__name__)

answers = flag_answers.pending

_KEYS = frozenset({str, uuid.UUID})
"""Types that identify a user by themselves, as their model does."""


class Unresolved(msgspec.Struct, frozen=True):
    """A user whose context is not in the unit's memo."""

    user: Model | Key
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
    unit = unit_or_ended()
    if request is None and anonymous_key is None:
        if unit is not None and (known := unit.recall(subject)) is not None:
            return known
        if (asked := type(subject)) is user_kind().model or asked in _KEYS:
            user: Model | Key = subject  # type: ignore[assignment]  # of one of these types
            return Unresolved(user, None, False, current_unit())
    who = identify(subject, request, anonymous_key)
    if who.user is None:
        return visitor_context(who.visitor, *who.degraded, is_new=who.is_new)
    if unit is not None and (known := unit.recall(who.user, who.visitor)) is not None:
        return known
    return Unresolved(who.user, who.visitor, who.keep_row, current_unit())


def keys_to_read(found: Unresolved) -> list[str] | None:
    """What `make` reads from the cache; None: nothing, not even the version."""
    if not isinstance(found.user, Model):
        return [_key_of(found.user)]
    if _known_rules(found.unit) is not None:
        return None
    return [user_kind().key_of(found.user)] if found.keep_row else []


def make(found: Unresolved, read: CacheRead | None = None) -> UserContext:
    """The context, which the unit keeps. `read`: what the cache holds of `keys_to_read`."""
    began = perf_counter()
    if tracing.is_on:
        tracing.begin()
    user, visitor, unit = found.user, found.visitor, found.unit
    if unit is not None and unit.request is not None:
        note_own_user(user)
    if isinstance(user, Model):
        context = _of_loaded(user, unit, read, keep_row=found.keep_row)
    else:
        key = _key_of(user)
        read = read or protocol.read([key])
        rules = unit.rules(read) if unit is not None else current_ruleset(read)
        snapshot = read.fresh.get(key)
        if snapshot is not None:
            context = context_memo.context_of(snapshot, rules, ContextSource.CACHE)
        else:
            context = _from_database([key], read, rules)[key]
        if not is_looking():
            try:
                answers[FOUND_NAMES[context.source]] += 1
            except KeyError:
                count_found([context.source])
    if visitor is not None:
        context = with_anonymous_key(context, visitor)
    if unit is not None:
        unit.keep(user, visitor, context)
    timings.contexts.append((context.source, perf_counter() - began))
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
        found.update(_of_keys(missing, unit))
    return {key: found[key] for key in wanted}


def _of_keys(keys: list[str], unit: UnitOfWork | None) -> dict[str, UserContext]:
    read = protocol.read(keys)
    rules = unit.rules(read) if unit is not None else current_ruleset(read)
    contexts = {
        # A batch would push out of the memo of contexts the users who come back.
        key: context_memo.context_of(snapshot, rules, ContextSource.CACHE, remember=False)
        for key, snapshot in read.fresh.items()
    }
    missing = [key for key in keys if key not in contexts]
    if missing:
        contexts.update(_from_database(missing, read, rules))
    if not is_looking():
        count_found(context.source for context in contexts.values())
    if unit is not None:
        for key, context in contexts.items():
            unit.keep(key, None, context)
    return contexts


def _key_of(user: Key) -> str:
    """`canonical_key`, which nearly every key is already."""
    return user if type(user) is str and user_kind().is_canonical(user) else canonical_key(user)


def _of_loaded(
    user: Model, unit: UnitOfWork | None, read: CacheRead | None, *, keep_row: bool
) -> UserContext:
    """From the row that the caller has loaded, as it is."""
    kind = user_kind()
    if getattr(user, kind.key) is None:
        raise ValueError("The user has no primary key, so that there is no key for their context.")
    try:
        snapshot = kind.snapshot_of(user)
    except NotLoaded:
        # A related row is missing: by key all of them come from the cache in one round trip.
        return make(Unresolved(kind.key_of(user), None, keep_row=False, unit=unit))
    except DatabaseError as error:
        # The user was loaded without their groups, or with columns left out.
        protocol.report_database(error)
        return make(Unresolved(kind.key_of(user), None, keep_row=False, unit=unit))
    except UnreadableRow as error:
        message = "The field %r of a loaded user cannot be read. The stored user was used."
        report(logger, f"user_unreadable:{error.field}", message, error.field)
        stored = make(Unresolved(kind.key_of(user), None, keep_row=False, unit=unit))
        degraded = (*stored.degraded, Degradation.USER_UNREADABLE)
        return msgspec.structs.replace(stored, degraded=degraded)
    key = snapshot.key

    def read_now() -> CacheRead:
        found = read or protocol.read([key] if keep_row else ())
        if keep_row and not found.failed and key not in found.fresh:
            # From the row: a loaded user may carry changes that are never saved.
            read_and_fill([key], found)
        return found

    if unit is not None:
        rules = unit.rules(read_now)
    else:
        rules = recent_ruleset() or current_ruleset(read_now())
    return context_memo.context_of(snapshot, rules, ContextSource.LOADED)


def _from_database(
    keys: list[str], read: CacheRead, rules: LoadedRuleset
) -> dict[str, UserContext]:
    found = read_rows(keys, read)
    if found is None:
        return {key: _last_known(key, read, rules) for key in keys}
    return {
        key: context_memo.context_of(found.snapshots[key], rules, found.source, remember=False)
        if key in found.snapshots
        else bare_context(key, Degradation.NO_SUCH_USER)
        for key in keys
    }


def _last_known(key: str, read: CacheRead, rules: LoadedRuleset) -> UserContext:
    spare = read.spare.get(key)
    if spare is None:
        return bare_context(key, Degradation.USER_UNAVAILABLE)
    return context_memo.context_of(spare, rules, ContextSource.SPARE, Degradation.USER_STALE)


def _known_rules(unit: UnitOfWork | None) -> LoadedRuleset | None:
    """The rules that need no read: those of the unit, or recent ones if the settings allow them."""
    known = unit.known_rules() if unit is not None else None
    return recent_ruleset() if known is None else known
