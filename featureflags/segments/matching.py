"""Clauses and rules compiled to Python closures over one user's attributes.

A predicate takes the attributes and the keys of the segments that already match, so segmentMatch is a
look-up and nested segments need no recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeAlias

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.definitions import (
    EXISTS,
    SEGMENT_MATCH,
    USER_KIND,
    Clause,
    Problem,
    Rule,
)
from featureflags.segments.operators import VALUE_TESTS, Test
from featureflags.segments.references import attribute_path

Predicate: TypeAlias = Callable[[Attributes, AbstractSet[str]], bool]
Reader: TypeAlias = Callable[[Attributes], object]

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

    ``test`` judges one value; None for operators without a value.
    """

    clause: Clause
    held: Predicate
    path: tuple[str, ...] = ()
    test: Test | None = None
    broken: Problem | None = None

    def incomparable(self, observed: object) -> bool:
        """True if the comparison meets an integer beyond a double."""
        if self.test is None:
            return False
        try:
            if isinstance(observed, _LISTS):
                _any_element(self.test, observed)
            else:
                self.test(observed)
        except OverflowError:
            return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule and its clauses, in order. Without clauses, or with a broken one, it is dead."""

    rule: Rule
    clauses: tuple[CompiledClause, ...]

    @property
    def dead(self) -> bool:
        """True if this rule can never match."""
        return not self.clauses or any(clause.broken is not None for clause in self.clauses)


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
        return CompiledClause(clause=clause, held=_never_held, broken=problem)


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
    if clause.op == EXISTS:
        held = _missing(read) if clause.negate else _present(read)
        return CompiledClause(clause=clause, held=held, path=path)
    build = VALUE_TESTS.get(clause.op)
    if build is None:
        raise ValueError(gettext("unknown operator %(op)r") % {"op": clause.op})
    test = build(clause.values)
    if len(path) == 1 and path[0] not in BUILT_IN:
        held = _unless(path[0], test) if clause.negate else _when(path[0], test)
    else:
        held = _when_read(read, test, negate=clause.negate)
    return CompiledClause(clause=clause, held=held, path=path, test=test)


def _never_held(_attributes: Attributes, _matched: AbstractSet[str]) -> bool:
    return False


def _in_segments(keys: frozenset[str], *, negate: bool) -> Predicate:
    if negate:
        return lambda _attributes, matched: keys.isdisjoint(matched)
    if len(keys) == 1:
        [key] = keys
        return lambda _attributes, matched: key in matched
    return lambda _attributes, matched: not keys.isdisjoint(matched)


def _present(read: Reader) -> Predicate:
    return lambda attributes, _matched: read(attributes) is not None


def _missing(read: Reader) -> Predicate:
    return lambda attributes, _matched: read(attributes) is None


def _any_element(test: Test, elements: Collection[object]) -> bool:
    for element in elements:  # noqa: SIM110 - a generator costs more than the test itself
        if test(element):
            return True
    return False


def _when(name: str, test: Test) -> Predicate:
    def held(attributes: Attributes, _matched: AbstractSet[str]) -> bool:
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


def _unless(name: str, test: Test) -> Predicate:
    def held(attributes: Attributes, _matched: AbstractSet[str]) -> bool:
        value: object = attributes.get(name)
        if value is None:
            return False
        try:
            if isinstance(value, _LISTS):
                return not _any_element(test, value)
            return not test(value)
        except OverflowError:
            return False

    return held


def _when_read(read: Reader, test: Test, *, negate: bool) -> Predicate:
    def held(attributes: Attributes, _matched: AbstractSet[str]) -> bool:
        value = read(attributes)
        if value is None:
            return False
        try:
            if isinstance(value, _LISTS):
                return _any_element(test, value) is not negate
            return test(value) is not negate
        except OverflowError:
            return False

    return held


def compile_rule(rule: Rule, *, number: int, kind: str = USER_KIND) -> CompiledRule:
    """Compile a rule of a segment of this kind; ``number``, from 1, is where its problems are reported."""
    clauses = tuple(
        compile_clause(clause, rule=number, number=position, kind=kind)
        for position, clause in enumerate(rule.clauses, start=1)
    )
    return CompiledRule(rule=rule, clauses=clauses)


def conjunction(parts: Sequence[Predicate]) -> Predicate | None:
    """All of them as one predicate; None for an empty list. ``all(generator)`` is far slower."""
    if len(parts) <= 1:
        return parts[0] if parts else None
    if len(parts) == 2:
        first, second = parts
        return lambda attributes, matched: (
            first(attributes, matched) and second(attributes, matched)
        )
    if len(parts) == 3:
        one, two, three = parts
        return lambda attributes, matched: (
            one(attributes, matched) and two(attributes, matched) and three(attributes, matched)
        )
    return _chain(parts)


def _chain(parts: Sequence[Predicate]) -> Predicate:
    def held(attributes: Attributes, matched: AbstractSet[str]) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the parts
            if not part(attributes, matched):
                return False
        return True

    return held
