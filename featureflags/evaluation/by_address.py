"""Contexts of rows by their addresses: many by one read, and the rows of other kinds that belong to them."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Final

from featureflags.cache import context_memo, protocol
from featureflags.cache.compiled_rules import LoadedRuleset, current_ruleset
from featureflags.cache.counters import count_found
from featureflags.cache.read_through import read_rows
from featureflags.cache.snapshot_store import CacheRead
from featureflags.cache.unit_of_work import UnitOfWork
from featureflags.contexts.building import bare_context
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.subject_context import SubjectContext, joined
from featureflags.kinds.snapshot import Address, kind_and_key
from featureflags.launchdarkly.client import is_looking


def with_related(
    owners: list[SubjectContext],
    unit: UnitOfWork | None,
    read: CacheRead | None = None,
    rules: LoadedRuleset | None = None,
) -> list[SubjectContext]:
    """Each with the contexts of the rows that belong to it, by one read for each step away.

    `read` may hold some of these rows already, and `rules` are those of that read.
    """
    known: dict[Address, SubjectContext] = {}
    wanted = {row for owner in owners for row in owner.related}
    while wanted:
        reached = {row: context.own for row in wanted if (context := _recalled(row, unit))}
        if read is not None and rules is not None:
            for row in wanted & read.fresh.keys() - reached.keys():
                snapshot = read.fresh[row]
                reached[row] = context_memo.context_of(snapshot, rules, ContextSource.CACHE)
        if missing := [row for row in wanted if row not in reached]:
            reached |= of_rows(missing, unit)
        known |= reached
        wanted = {row for each in reached.values() for row in each.related} - known.keys()
    return [_assembled(owner, known) for owner in owners]


def _recalled(row: Address, unit: UnitOfWork | None) -> SubjectContext | None:
    return None if unit is None else unit.recall(row)


MOST: Final = 1_000
_joined: dict[Address, SubjectContext] = {}
"""Multi-contexts by their owner, as long as their parts are the very same."""


def _assembled(owner: SubjectContext, known: Mapping[Address, SubjectContext]) -> SubjectContext:
    """With the nearest row of each kind."""
    found = nearest_parts(owner, known)
    before = _joined.get(owner.address)
    are_same = before is not None and len(before.parts) == len(found)
    if before is not None and are_same and all(map(operator.is_, before.parts, found)):
        return before
    if len(_joined) >= MOST:
        _joined.clear()
    made = _joined[owner.address] = joined(found)
    return made


def nearest_parts(
    owner: SubjectContext, known: Mapping[Address, SubjectContext]
) -> tuple[SubjectContext, ...]:
    """The row itself, and the nearest row of each kind that belongs to it."""
    parts = {owner.context.kind: owner}
    wanted = list(owner.related)
    while wanted:
        row = wanted.pop(0)
        if (kind := kind_and_key(row)[0]) not in parts:
            parts[kind] = known[row]
            wanted += known[row].related
    return tuple(parts.values())


def of_rows(rows: list[Address], unit: UnitOfWork | None) -> dict[Address, SubjectContext]:
    """The contexts of these rows, each by itself, in this order."""
    read = protocol.read(rows)
    rules = unit.rules(read) if unit is not None else current_ruleset(read)
    # A batch would push out of the memo of contexts the users who come back.
    is_one = len(rows) == 1
    contexts = {
        key: context_memo.context_of(snapshot, rules, ContextSource.CACHE, remember=is_one)
        for key, snapshot in read.fresh.items()
    }
    missing = [row for row in rows if row not in contexts]
    if missing:
        contexts.update(from_database(missing, read, rules))
    if not is_looking():
        count_found(context.source for context in contexts.values())
    if unit is not None:
        for key, context in contexts.items():
            if not context.related:
                unit.keep(key, None, context)
    return {row: contexts[row] for row in rows}


def from_database(
    keys: list[Address], read: CacheRead, rules: LoadedRuleset
) -> dict[Address, SubjectContext]:
    found = read_rows(keys, read)
    if found is None:
        return {key: _last_known(key, read, rules) for key in keys}
    return {
        key: context_memo.context_of(found.snapshots[key], rules, found.source, remember=False)
        if key in found.snapshots
        else bare_context(key, Degradation.NO_SUCH_USER)
        for key in keys
    }


def _last_known(key: Address, read: CacheRead, rules: LoadedRuleset) -> SubjectContext:
    spare = read.spare.get(key)
    if spare is None:
        return bare_context(key, Degradation.USER_UNAVAILABLE)
    return context_memo.context_of(spare, rules, ContextSource.SPARE, Degradation.USER_STALE)
