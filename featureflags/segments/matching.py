"""Clauses and rules compiled to Python closures over one user's attributes.

A predicate takes the attributes, the keys of the segments that already match, so that segmentMatch is a
look-up and nested segments need no recursion, and the instant (µs), which only dates that move need.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.definitions import (
    EXISTS,
    SEGMENT_MATCH,
    USER_KIND,
    Clause,
    Problem,
)
from featureflags.segments.moving_dates import WINDOWS, any_holds
from featureflags.segments.operators import LENGTH_TESTS, VALUE_TESTS, Test, value_test
from featureflags.segments.percentages import (
    Predicate,
    Reader,
)
from featureflags.segments.references import attribute_path
from featureflags.segments.windows import Window

_LISTS: Final = (list, tuple)

BUILT_IN: Final[dict[str, Reader]] = {
    # LaunchDarkly computes these itself and ignores attributes of these names.
    "kind": lambda _attributes: USER_KIND,  # of another kind: see `reader`
    "anonymous": lambda attributes: attributes.get("anonymous") is True,
    "_meta": lambda _attributes: None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledClause:
    """A clause with its predicate ``held``, or why it is ``broken``: a broken clause never holds.

    ``test`` judges one value; None for operators without a value, and for those on dates that move,
    which have ``windows``.
    """

    clause: Clause
    held: Predicate
    path: tuple[str, ...] = ()
    test: Test | None = None
    windows: tuple[Window, ...] = ()
    broken: Problem | None = None

    def incomparable(self, observed: object) -> bool:
        """True if the comparison meets an integer beyond a double."""
        test = self.test if not self.windows else lambda value: any_holds(self.windows, value, 0)
        if test is None:
            return False
        try:
            if isinstance(observed, _LISTS):
                _any_element(test, observed)
            else:
                test(observed)
        except OverflowError:
            return True
        return False


def reader(path: tuple[str, ...], kind: str = USER_KIND) -> Reader:
    """A function that follows a path into attributes of a kind; missing and null are both None."""
    name = path[0]
    if path == ("kind",):
        return lambda _attributes: kind
    if len(path) > 1:
        return lambda attributes: _follow(attributes.get(name), path[1:])
    return BUILT_IN.get(name) or (lambda attributes: attributes.get(name))


def _follow(value: object, path: Sequence[str]) -> object:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def compile_clause(
    clause: Clause, *, rule: int, number: int, kind: str = USER_KIND
) -> CompiledClause:
    """Compile one clause of a segment of this kind; ``rule`` and ``number``, from 1, are where a problem is reported.

    Never raises: an unknown operator, another context kind, a bad expression or a bad path give a
    clause that never holds, negated or not.
    """
    try:
        return _compile_clause(clause, kind)
    except (ValueError, OverflowError) as error:
        problem = Problem(code="broken", message=str(error), rule=rule, clause=number)
        return CompiledClause(clause=clause, held=never_held, broken=problem)


def _compile_clause(clause: Clause, kind: str) -> CompiledClause:
    if clause.op == SEGMENT_MATCH:
        keys = frozenset(value for value in clause.values if isinstance(value, str))
        return CompiledClause(clause=clause, held=_in_segments(keys, negate=clause.negate))
    if clause.context_kind not in {None, kind}:
        raise ValueError(
            gettext("the condition is on %(context_kind)r, and the segment on %(kind)r")
            % {"context_kind": clause.context_kind, "kind": kind}
        )
    path = attribute_path(clause.attribute, clause.context_kind)
    read = reader(path, kind)
    windows = tuple(WINDOWS[clause.op](clause.values)) if clause.op in WINDOWS else ()
    test = None
    if clause.op in VALUE_TESTS:
        test = value_test(clause.op, clause.values, ignore_case=clause.ignore_case)
        held = _on_value(clause, path, read, test)
    elif clause.op == EXISTS:
        held = _missing(read) if clause.negate else _present(read)
    elif clause.op in LENGTH_TESTS:
        held = _when_whole(clause, read, LENGTH_TESTS[clause.op](clause.values))
    elif clause.op in WINDOWS:
        held = _when_now(clause, read, windows)
    else:
        raise ValueError(gettext("unknown operator %(op)r") % {"op": clause.op})
    return CompiledClause(clause=clause, held=held, path=path, test=test, windows=windows)


def _on_value(clause: Clause, path: tuple[str, ...], read: Reader, test: Test) -> Predicate:
    missing = clause.holds_for_missing
    if len(path) > 1 or path[0] in BUILT_IN:
        return _when_read(read, test, negate=clause.negate, missing=missing)
    return _unless(path[0], test, missing=missing) if clause.negate else _when(path[0], test)


def never_held(_attributes: Attributes, _matched: AbstractSet[str], _now: int) -> bool:
    """The predicate of a broken clause."""
    return False


def _in_segments(keys: frozenset[str], *, negate: bool) -> Predicate:
    if negate:
        return lambda _attributes, matched, _now: keys.isdisjoint(matched)
    if len(keys) == 1:
        [key] = keys
        return lambda _attributes, matched, _now: key in matched
    return lambda _attributes, matched, _now: not keys.isdisjoint(matched)


def _present(read: Reader) -> Predicate:
    return lambda attributes, _matched, _now: read(attributes) is not None


def _missing(read: Reader) -> Predicate:
    return lambda attributes, _matched, _now: read(attributes) is None


def _any_element(test: Test, elements: Collection[object]) -> bool:
    for element in elements:  # noqa: SIM110 - a generator costs more than the test itself
        if test(element):
            return True
    return False


def _when(name: str, test: Test) -> Predicate:
    def held(attributes: Attributes, _matched: AbstractSet[str], _now: int) -> bool:
        value: object = attributes.get(name)
        if value.__class__ is str:
            return test(value)
        if value is None:
            return False
        try:
            if isinstance(value, _LISTS):
                return _any_element(test, value)
            return test(value)
        except OverflowError:
            return False

    return held


def _unless(name: str, test: Test, *, missing: bool) -> Predicate:
    def held(attributes: Attributes, _matched: AbstractSet[str], _now: int) -> bool:
        value: object = attributes.get(name)
        if value is None:
            return missing
        try:
            if isinstance(value, _LISTS):
                return not _any_element(test, value)
            return not test(value)
        except OverflowError:
            return False

    return held


def _when_read(read: Reader, test: Test, *, negate: bool, missing: bool) -> Predicate:
    def held(attributes: Attributes, _matched: AbstractSet[str], _now: int) -> bool:
        value = read(attributes)
        if value is None:
            return missing
        try:
            if isinstance(value, _LISTS):
                return _any_element(test, value) is not negate
            return test(value) is not negate
        except OverflowError:
            return False

    return held


def _when_whole(clause: Clause, read: Reader, test: Test) -> Predicate:
    negate, missing = clause.negate, clause.holds_for_missing

    def held(attributes: Attributes, _matched: AbstractSet[str], _now: int) -> bool:
        value = read(attributes)
        return missing if value is None else test(value) is not negate

    return held


def _when_now(clause: Clause, read: Reader, windows: Sequence[Window]) -> Predicate:
    negate, missing = clause.negate, clause.holds_for_missing

    def held(attributes: Attributes, _matched: AbstractSet[str], now: int) -> bool:
        value = read(attributes)
        if value is None:
            return missing
        try:
            if isinstance(value, _LISTS):
                return any(any_holds(windows, each, now) for each in value) is not negate
            return any_holds(windows, value, now) is not negate
        except OverflowError:
            return False

    return held


def conjunction(parts: Sequence[Predicate]) -> Predicate | None:
    """All of them as one predicate; None for an empty list. ``all(generator)`` is far slower."""
    if len(parts) <= 1:
        return parts[0] if parts else None
    if len(parts) == 2:
        first, second = parts
        return lambda attributes, matched, now: (
            first(attributes, matched, now) and second(attributes, matched, now)
        )
    if len(parts) == 3:
        one, two, three = parts
        return lambda attributes, matched, now: (
            one(attributes, matched, now)
            and two(attributes, matched, now)
            and three(attributes, matched, now)
        )
    return _chain(parts)


def _chain(parts: Sequence[Predicate]) -> Predicate:
    def held(attributes: Attributes, matched: AbstractSet[str], now: int) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the parts
            if not part(attributes, matched, now):
                return False
        return True

    return held
