"""What is odd about the rules of a segment by themselves, and how to mend it.

Pure and sound: a rule that is called dead matches no context whose attributes have their declared
types, and a rule that is said to be inside another adds nobody. Where a condition has an operator or
an option that `value_sets` does not know, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from featureflags.core.i18n import gettext
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Clause, Problem, Rule
from featureflags.segments.value_sets import (
    ValueSet,
    are_disjoint,
    includes,
    is_plain,
    path_of,
    value_set,
)

MOST_COMPARED: Final = 500_000
"""Values times rules up to which rules are compared with each other."""

_SCALARS: Final = frozenset(
    {
        *(AttributeType.STRING, AttributeType.NUMBER, AttributeType.BOOLEAN),
        *(AttributeType.DATETIME, AttributeType.SEMVER),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something odd, with its place, and how to mend it."""

    code: str
    """`contradiction`, `percentage`, `duplicate`, `inside`; those of the data: see `audience.lint`."""
    message: str
    advice: str
    rule: int
    """From 1."""
    clause: int | None = None
    is_dead: bool = False
    """True if the rule is proven to match nobody."""

    def __str__(self) -> str:
        place = Problem(code=self.code, message=self.message, rule=self.rule, clause=self.clause)
        return f"{place}. {self.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One condition, as far as it is understood."""

    clause: Clause
    number: int
    path: tuple[str, ...] | None
    found: ValueSet | None
    is_scalar: bool
    """True if its value is never a list."""


def lint_rules(
    rules: Sequence[Rule], type_of: Callable[[str], AttributeType | None]
) -> list[Finding]:
    """The findings in the order of the rules; `type_of`: the type of an attribute by its name."""
    parsed = [_parts(rule, type_of) for rule in rules]
    findings = [
        finding
        for number, (rule, parts) in enumerate(zip(rules, parsed, strict=True), start=1)
        for finding in _dead(rule, parts, number)
    ]
    dead = {finding.rule for finding in findings}
    values = sum(len(clause.values) for rule in rules for clause in rule.clauses)
    if values * len(rules) <= MOST_COMPARED:
        findings += _overlaps(rules, parsed, dead)
    return sorted(findings, key=lambda one: (one.rule, one.clause or 0))


def _parts(rule: Rule, type_of: Callable[[str], AttributeType | None]) -> list[_Part]:
    parts = []
    for number, clause in enumerate(rule.clauses, start=1):
        path = path_of(clause)
        is_scalar = path is not None and len(path) == 1 and type_of(path[0]) in _SCALARS
        found = value_set(clause) if path is not None else None
        parts.append(
            _Part(clause=clause, number=number, path=path, found=found, is_scalar=is_scalar)
        )
    return parts


def _dead(rule: Rule, parts: Sequence[_Part], number: int) -> Iterator[Finding]:
    if rule.weight == 0:
        yield Finding(
            code="percentage",
            message=gettext("it takes 0 % of those who match, which is nobody"),
            advice=gettext("Take a larger percentage, or remove the rule."),
            rule=number,
            is_dead=True,
        )
    for one, other in combinations(parts, 2):
        if _exclude_each_other(one, other):
            message = gettext("it can never hold together with condition %(other)s")
            yield Finding(
                code="contradiction",
                message=message % {"other": one.number},
                advice=gettext("Change one of the two, or move it into a rule of its own."),
                rule=number,
                clause=other.number,
                is_dead=True,
            )


def _exclude_each_other(one: _Part, other: _Part) -> bool:
    if one.clause.op == other.clause.op == SEGMENT_MATCH:
        return _segments_exclude(one.clause, other.clause)
    if one.path is None or one.path != other.path:
        return False
    for missing, rest in ((one, other), (other, one)):
        if _is_exists(missing.clause) and missing.clause.negate:
            # All but "is not known" need a value; what is not understood may not.
            return rest.found is not None or (_is_exists(rest.clause) and not rest.clause.negate)
    if one.found is None or other.found is None:
        return False
    if one.clause.negate is other.clause.negate:
        both_hold = not one.clause.negate
        return both_hold and one.is_scalar and are_disjoint(one.found, other.found)
    held, refused = (other, one) if one.clause.negate else (one, other)
    return _is_within(held.found, refused.found)


def _is_within(inner: ValueSet | None, outer: ValueSet | None) -> bool:
    return inner is not None and outer is not None and includes(outer, inner)


def _is_exists(clause: Clause) -> bool:
    return clause.op == EXISTS and is_plain(clause)


def _segments_exclude(one: Clause, other: Clause) -> bool:
    if one.negate is other.negate or not (is_plain(one) and is_plain(other)):
        return False
    held, refused = (other, one) if one.negate else (one, other)
    return _keys(held) <= _keys(refused)


def _keys(clause: Clause) -> set[str]:
    return {value for value in clause.values if isinstance(value, str)}


def _overlaps(
    rules: Sequence[Rule], parsed: Sequence[Sequence[_Part]], dead: set[int]
) -> Iterator[Finding]:
    """Rules that add nobody: all who match one match another, which is named once."""
    left_out: set[int] = set()
    for number, (rule, parts) in enumerate(zip(rules, parsed, strict=True), start=1):
        if number in dead or not parts:
            continue
        for other, (wider, wider_parts) in enumerate(zip(rules, parsed, strict=True), start=1):
            if other in {number, *dead, *left_out} or not wider_parts:
                continue
            if not _is_inside(rule, parts, wider, wider_parts):
                continue
            is_same = _is_inside(wider, wider_parts, rule, parts)
            if is_same and other > number:
                # Of two that say the same the later one is named.
                continue
            left_out.add(number)
            yield _overlap(number, other, is_same=is_same)
            break


def _overlap(number: int, other: int, *, is_same: bool) -> Finding:
    if is_same:
        message = gettext("it matches exactly the same as rule %(other)s")
        advice = gettext("Remove one of the two.")
    else:
        message = gettext("rule %(other)s already matches all that it matches")
        advice = gettext("Remove it, or add a condition to rule %(other)s.")
    return Finding(
        code="duplicate" if is_same else "inside",
        message=message % {"other": other},
        advice=advice % {"other": other} if not is_same else advice,
        rule=number,
    )


def _is_inside(
    rule: Rule, parts: Sequence[_Part], wider: Rule, wider_parts: Sequence[_Part]
) -> bool:
    if wider.weight is not None:
        same = (rule.bucket_by, rule.rollout_context_kind) == (
            wider.bucket_by,
            wider.rollout_context_kind,
        )
        if not same or rule.weight is None or rule.weight > wider.weight:
            return False
    return all(any(_guarantees(part, wanted) for part in parts) for wanted in wider_parts)


def _guarantees(part: _Part, wanted: _Part) -> bool:
    """True if `wanted` holds wherever `part` does."""
    one, other = part.clause, wanted.clause
    # Of equal conditions True and 1 stay apart.
    if repr(one) == repr(other):
        return True
    if one.op == other.op == SEGMENT_MATCH:
        return _segments_guarantee(one, other)
    if part.path is None or part.path != wanted.path or part.found is None:
        return False
    if _is_exists(other):
        return not other.negate
    return wanted.found is not None and _values_guarantee(part, part.found, wanted, wanted.found)


def _values_guarantee(part: _Part, found: ValueSet, wanted: _Part, sought: ValueSet) -> bool:
    """The same of two conditions on one attribute, by the values that pass them."""
    if part.clause.negate:
        # A number that cannot be compared holds no comparison, negated or not.
        stays_comparable = found.raises or not sought.raises
        return wanted.clause.negate and stays_comparable and includes(found, sought)
    if wanted.clause.negate:
        return part.is_scalar and are_disjoint(found, sought)
    is_comparable = part.is_scalar or found.raises or not sought.raises
    return is_comparable and includes(sought, found)


def _segments_guarantee(one: Clause, other: Clause) -> bool:
    if one.negate is not other.negate or not (is_plain(one) and is_plain(other)):
        return False
    inner, outer = (other, one) if one.negate else (one, other)
    return _keys(inner) <= _keys(outer)
