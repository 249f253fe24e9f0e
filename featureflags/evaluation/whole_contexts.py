"""The contexts of many rows with the rows that belong to them, under given rules: for counts and previews.

A flag of a user may test their organization, or draw its percentage by it. As a check reads them, but from the
database alone, and nothing is kept.

Hidden SQL: for each step away, one query for each kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from featureflags.contexts.attributes import related_rows
from featureflags.contexts.building import bare_context, row_context
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.subject_context import SubjectContext, joined
from featureflags.evaluation.by_address import nearest_parts
from featureflags.kinds.registry import kind_named
from featureflags.kinds.snapshot import Address, kind_and_key
from featureflags.segments.ruleset import Ruleset


def whole_contexts(
    rows: Sequence[Any], *rulesets: Ruleset, now: int
) -> list[tuple[SubjectContext, ...]]:
    """For each snapshot its context under each of these rules, at `now` (µs)."""
    related = _related(rows)
    under = [dict(_known(related, rules, now)) for rules in rulesets]
    return [
        tuple(
            joined(nearest_parts(_context(row, rules, now), known))
            for rules, known in zip(rulesets, under, strict=True)
        )
        for row in rows
    ]


def _related(rows: Iterable[Any]) -> dict[Address, Any]:
    """The snapshots of all rows that belong to these, by address; None: it is gone."""
    found: dict[Address, Any] = {}
    wanted = {address for row in rows for address in related_rows(row)}
    while wanted:
        by_kind: dict[str, dict[str, Address]] = {}
        for address in wanted:
            name, key = kind_and_key(address)
            by_kind.setdefault(name, {})[key] = address
        reached: dict[Address, Any] = dict.fromkeys(wanted)
        for name, keys in by_kind.items():
            kind = kind_named(name)
            read = {} if kind is None else kind.snapshots_by_key(keys)
            reached |= {keys[key]: snapshot for key, snapshot in read.items()}
        found |= reached
        wanted = {
            address for row in reached.values() if row is not None for address in related_rows(row)
        } - found.keys()
    return found


def _known(
    related: dict[Address, Any], rules: Ruleset, now: int
) -> Iterator[tuple[Address, SubjectContext]]:
    for address, row in related.items():
        if row is None:
            yield address, bare_context(address, Degradation.NO_SUCH_USER)
        else:
            yield address, _context(row, rules, now)


def _context(row: Any, rules: Ruleset, now: int) -> SubjectContext:
    return row_context(row, rules, now, source=ContextSource.DATABASE)
