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
from collections.abc import Iterable, Sequence
from time import perf_counter

import msgspec
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest

from featureflags.cache import context_memo, protocol
from featureflags.cache.compiled_rules import LoadedRuleset, current_ruleset, recent_ruleset
from featureflags.cache.counters import FOUND_NAMES, count_found, flag_answers
from featureflags.cache.read_through import read_and_fill
from featureflags.cache.snapshot_store import CacheRead
from featureflags.cache.unit_of_work import UnitOfWork, current_unit, unit_or_ended
from featureflags.contexts.attributes import related_rows
from featureflags.contexts.building import visitor_context, with_anonymous_key
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.subject_context import SubjectContext, joined
from featureflags.core import timings
from featureflags.core.monitoring import report
from featureflags.evaluation import tracing
from featureflags.evaluation.arguments import (
    Key,
    Named,
    Row,
    Subject,
    canonical_address,
    is_several,
)
from featureflags.evaluation.by_address import from_database, of_rows, with_related
from featureflags.evaluation.subjects import identify, note_own_user
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.loaded_rows import NotLoaded, UnreadableRow
from featureflags.kinds.registry import kind_named, kind_of_row, user_kind
from featureflags.kinds.snapshot import USER, Address, Snapshot, address, kind_and_key
from featureflags.launchdarkly.client import is_looking

logger = logging.getLogger(__name__)

answers = flag_answers.pending

_LISTS = frozenset({list, tuple})
_KEYS = frozenset({str, uuid.UUID})
"""Types that identify a user by themselves, as their model does."""


class Unresolved(msgspec.Struct, frozen=True):
    """A user whose context is not in the unit's memo."""

    user: Row
    visitor: str | None
    keep_row: bool
    unit: UnitOfWork | None


def resolve(
    subject: Subject,
    *,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> SubjectContext:
    """The context of `subject`; without one, of the user behind `request`; else of a visitor.

    Raises TypeError for a subject of another type.
    """
    found = look_up(subject, request, anonymous_key)
    return found if type(found) is SubjectContext else make(found)  # type: ignore[arg-type]  # the rest


def look_up(
    subject: Subject, request: HttpRequest | None, anonymous_key: str | None
) -> SubjectContext | Unresolved:
    """The context, if the unit's memo has it or it is a visitor's; else what `make` needs.

    Asks no server, unless the user of the request is still to be loaded, or there are several subjects.
    """
    unit = unit_or_ended()
    if request is None and anonymous_key is None:
        if unit is not None and (known := unit.recall(subject)) is not None:
            return known
        if (asked := type(subject)) is user_kind().model or asked in _KEYS:
            user: Row = subject  # type: ignore[assignment]  # of one of these types
            return Unresolved(user, None, False, current_unit())
    if type(subject) in _LISTS and is_several(subject):
        return several(
            [resolve(each, request=request, anonymous_key=anonymous_key) for each in subject]
        )
    who = identify(subject, request, anonymous_key)
    if who.user is None:
        return visitor_context(who.visitor, *who.degraded, is_new=who.is_new)
    if unit is not None and (known := unit.recall(who.user, who.visitor)) is not None:
        return known
    return Unresolved(who.user, who.visitor, who.keep_row, current_unit())


def several(contexts: Sequence[SubjectContext]) -> SubjectContext:
    """The contexts of several subjects as one: each by itself, without what belongs to it.

    Raises ValueError for none, and for two of one kind.
    """
    if not contexts:
        raise ValueError("The list of subjects is empty.")
    return joined([each.own for each in contexts])


def rows_to_read(found: Unresolved) -> list[Address] | None:
    """What `make` reads from the cache; None: nothing, not even the version."""
    if not isinstance(found.user, Model):
        row = _address_of(found.user)
        return [row, *context_memo.related_before(row)]
    if _known_rules(found.unit) is not None:
        return None
    return [user_kind().key_of(found.user)] if found.keep_row else []


def may_be_related(found: Unresolved) -> bool:
    """Whether rows of other kinds may belong to this one, so that one read may not be enough."""
    user = found.user
    kind = (
        kind_of_row(user)
        if isinstance(user, Model)
        else kind_named(kind_and_key(_address_of(user))[0])
    )
    return kind is not None and bool(kind.related)


def is_enough(found: Unresolved, read: CacheRead) -> bool:
    """Whether `make` needs nothing but this read: the rules, the row, and what belongs to it."""
    if len(read.fresh) != len(read.keys):
        return False
    if isinstance(found.user, Model):
        return not may_be_related(found)
    belonging = related_rows(read.fresh[_address_of(found.user)])
    # What belongs to these rows in turn would need one more read.
    return all(row in read.fresh and not related_rows(read.fresh[row]) for row in belonging)


def make(found: Unresolved, read: CacheRead | None = None) -> SubjectContext:
    """The context, which the unit keeps. `read`: what the cache holds of `rows_to_read`."""
    began = perf_counter()
    if tracing.is_on:
        tracing.begin()
    user, visitor, unit = found.user, found.visitor, found.unit
    if unit is not None and unit.request is not None:
        note_own_user(user)
    if isinstance(user, Model):
        context = _of_loaded(user, unit, read, keep_row=found.keep_row)
    else:
        context = _of_address(_address_of(user), unit, read)
    if visitor is not None:
        context = with_anonymous_key(context, visitor)
    if unit is not None:
        unit.keep(user, visitor, context)
    timings.contexts.append((context.source, perf_counter() - began))
    return context


def _of_address(row: Address, unit: UnitOfWork | None, read: CacheRead | None) -> SubjectContext:
    """From the cache, else from the database, else the last known; with what belongs to it."""
    read = read or protocol.read([row, *context_memo.related_before(row)])
    rules = unit.rules(read) if unit is not None else current_ruleset(read)
    snapshot = read.fresh.get(row)
    if snapshot is not None:
        context = context_memo.context_of(snapshot, rules, ContextSource.CACHE)
    else:
        context = from_database([row], read, rules)[row]
    if context.related:
        [context] = with_related([context], unit, read, rules)
    if not is_looking():
        try:
            answers[FOUND_NAMES[context.source]] += 1
        except KeyError:
            count_found([context.source])
    return context


def contexts_for(subjects: Iterable[Key | Named]) -> dict[Address, SubjectContext]:
    """The contexts of many rows by address: one round trip to the cache, one query for the rest.

    Where rows of other kinds belong to them, these are one more.
    """
    wanted = list(dict.fromkeys(map(canonical_address, subjects)))
    unit = current_unit()
    found: dict[Address, SubjectContext] = {}
    if unit is not None:
        found = {row: known for row in wanted if (known := unit.recall(row)) is not None}
    missing = [row for row in wanted if row not in found]
    if missing:
        whole = with_related(list(of_rows(missing, unit).values()), unit)
        for row, context in zip(missing, whole, strict=True):
            found[row] = context
            if unit is not None and context.parts:
                unit.keep(row, None, context)
    return {row: found[row] for row in wanted}


def _address_of(user: Key | Named) -> Address:
    """`canonical_address`, which nearly every key is already."""
    return user if type(user) is str and user_kind().is_canonical(user) else canonical_address(user)


def _of_loaded(
    user: Model, unit: UnitOfWork | None, read: CacheRead | None, *, keep_row: bool
) -> SubjectContext:
    """From the row that the caller has loaded, as it is."""
    kind = _kind_of(user)
    snapshot = _snapshot_of(kind, user, unit)
    if isinstance(snapshot, SubjectContext):
        return snapshot
    row: Address = snapshot.key if kind.name == USER else (kind.name, snapshot.key)
    reads: list[CacheRead] = []

    def read_now() -> CacheRead:
        wanted = [row] if keep_row else []
        found = read or protocol.read(
            [*wanted, *related_rows(snapshot)] if kind.related else wanted
        )
        reads.append(found)
        if keep_row and not found.failed and row not in found.fresh:
            # From the row: a loaded user may carry changes that are never saved.
            read_and_fill([row], found)
        return found

    if unit is not None:
        rules = unit.rules(read_now)
    else:
        rules = recent_ruleset() or current_ruleset(read_now())
    context = context_memo.context_of(snapshot, rules, ContextSource.LOADED)
    if context.related:
        [context] = with_related([context], unit, *(reads and (reads[0], rules)))
    return context


def _snapshot_of(
    kind: CompiledKind, user: Model, unit: UnitOfWork | None
) -> Snapshot | SubjectContext:
    """The snapshot of the row; where it cannot be read, the context of the row as it is stored."""
    try:
        return kind.snapshot_of(user)  # type: ignore[no-any-return]  # of the kind
    except NotLoaded:
        # A related row is missing: by key all of them come from the cache in one round trip.
        return _stored(kind, user, unit)
    except DatabaseError as error:
        # The user was loaded without their groups, or with columns left out.
        protocol.report_database(error)
        return _stored(kind, user, unit)
    except UnreadableRow as error:
        message = "The field %r of a loaded user cannot be read. The stored user was used."
        report(logger, f"user_unreadable:{error.field}", message, error.field)
        stored = _stored(kind, user, unit)
        degraded = (*stored.degraded, Degradation.USER_UNREADABLE)
        return msgspec.structs.replace(stored, degraded=degraded)


def _kind_of(row: Model) -> CompiledKind:
    """The kind of a loaded row. Raises ValueError for a row that has no key yet."""
    kind = user_kind()
    if type(row) is not kind.model:
        kind = kind_of_row(row) or kind
    if getattr(row, kind.key) is None:
        raise ValueError(
            f"The {kind.name} has no primary key, so that there is no key for its context."
        )
    return kind


def _stored(kind: CompiledKind, row: Model, unit: UnitOfWork | None) -> SubjectContext:
    """Of the row as it is stored, by its key."""
    found = Unresolved(address(kind.name, kind.key_of(row)), None, keep_row=False, unit=unit)
    return make(found)


def _known_rules(unit: UnitOfWork | None) -> LoadedRuleset | None:
    """The rules that need no read: those of the unit, or recent ones if the settings allow them."""
    known = unit.known_rules() if unit is not None else None
    return recent_ruleset() if known is None else known
