"""Which operators and values suit an attribute: the one table behind validation and the editor.

Pure: the catalogue of attributes is given as a function from name to type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from featureflags.core.i18n import gettext, gettext_noop
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Clause, Problem, Rule
from featureflags.segments.formatting import show
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.references import attribute_path
from featureflags.segments.values import is_number, parse_semver


class AttributeType(StrEnum):
    """What an attribute holds. A datetime is RFC 3339 text or milliseconds since the epoch."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    SEMVER = "semver"
    LIST = "list"
    OBJECT = "object"
    ANY = "any"


_TEXT: Final = ("in", "startsWith", "endsWith", "contains", "matches")
_NUMERIC: Final = ("greaterThanOrEqual", "lessThanOrEqual", "greaterThan", "lessThan")
_DATES: Final = (
    *("before", "after", "between"),
    *("inLast", "longerAgoThan", "inNext", "within", "onDayOfYear"),
)
_SEMVER: Final = (
    *("semVerGreaterThanOrEqual", "semVerLessThanOrEqual"),
    *("semVerEqual", "semVerLessThan", "semVerGreaterThan"),
)
_LENGTH: Final = ("hasAtLeast", "hasAtMost")

OPERATORS_BY_TYPE: Mapping[AttributeType, tuple[str, ...]] = {
    AttributeType.STRING: (*_TEXT, "ipInRange", EXISTS),
    AttributeType.NUMBER: (*_NUMERIC, "in", EXISTS),
    AttributeType.BOOLEAN: ("in", EXISTS),
    AttributeType.DATETIME: (*_DATES, EXISTS),
    AttributeType.SEMVER: (*_SEMVER, "in", EXISTS),
    AttributeType.LIST: (*_TEXT, *_LENGTH, "ipInRange", EXISTS),
    AttributeType.OBJECT: (EXISTS,),
    AttributeType.ANY: tuple(op for op in OPERATORS if op != SEGMENT_MATCH),
}
"""The operators that make sense for each type, in the order in which a form offers them."""

_IN_VALUES: Mapping[AttributeType, tuple[Callable[[object], bool], str]] = {
    AttributeType.STRING: (lambda value: isinstance(value, str), gettext_noop("text")),
    AttributeType.NUMBER: (is_number, gettext_noop("a number")),
    AttributeType.BOOLEAN: (lambda value: isinstance(value, bool), gettext_noop("true or false")),
    AttributeType.SEMVER: (
        lambda value: parse_semver(value) is not None,
        gettext_noop("a version"),
    ),
    AttributeType.LIST: (lambda value: value is not None, gettext_noop("a value")),
}
"""What ``in`` may compare each type with. Other operators fix the type of their values."""


def check_types(
    rules: Iterable[Rule], type_of: Callable[[str], AttributeType | None]
) -> list[Problem]:
    """Problems of rules that do not fit the attributes' types, beyond what ``parse_rules`` refuses.

    ``type_of`` gives the type of an attribute by name, or None for an unknown attribute. The
    first part of a path (``/address/city``) is the attribute; the values inside have any type.
    """
    return [
        Problem(code=code, message=message, rule=number, clause=position)
        for number, rule in enumerate(rules, start=1)
        for position, clause in enumerate(rule.clauses, start=1)
        if clause.op != SEGMENT_MATCH
        for code, message in _check(clause, type_of)
    ]


def _check(
    clause: Clause, type_of: Callable[[str], AttributeType | None]
) -> Iterator[tuple[str, str]]:
    try:
        name, *parts = attribute_path(clause.attribute, clause.context_kind)
    except ValueError as error:
        yield "attribute", str(error)
        return
    found = type_of(name)
    if found is None:
        yield "attribute_unknown", gettext("there is no attribute %(name)r") % {"name": name}
        return
    if parts:
        if found not in {AttributeType.OBJECT, AttributeType.ANY}:
            yield (
                "attribute_type",
                gettext("%(name)s is %(found)s: it has no parts")
                % {"name": name, "found": _a(found)},
            )
            return
        found = AttributeType.ANY
    if clause.op not in OPERATORS_BY_TYPE[found]:
        yield (
            "operator_type",
            gettext("%(name)s is %(found)s: %(clause)r does not fit it")
            % {"name": name, "found": _a(found), "clause": _label(clause)},
        )
        return
    if clause.op == "in" and found in _IN_VALUES:
        yield from _values_that_do_not_suit(name, found, clause.values)


def _values_that_do_not_suit(
    name: str, found: AttributeType, values: Iterable[object]
) -> Iterator[tuple[str, str]]:
    suits, wanted = _IN_VALUES[found]
    text = gettext("%(name)s is %(found)s: %(value)s is not %(wanted)s")
    words = {"name": name, "found": _a(found), "wanted": gettext(wanted)}
    for value in values:
        if not suits(value):
            yield "value_type", text % {**words, "value": show(value)}


_A_TYPE: Mapping[AttributeType, str] = {
    AttributeType.STRING: gettext_noop("a string"),
    AttributeType.NUMBER: gettext_noop("a number"),
    AttributeType.BOOLEAN: gettext_noop("a boolean"),
    AttributeType.DATETIME: gettext_noop("a datetime"),
    AttributeType.SEMVER: gettext_noop("a semver"),
    AttributeType.LIST: gettext_noop("a list"),
    AttributeType.OBJECT: gettext_noop("an object"),
    AttributeType.ANY: gettext_noop("an any"),
}


def _a(attribute_type: AttributeType) -> str:
    return gettext(_A_TYPE[attribute_type])


def _label(clause: Clause) -> str:
    info = OPERATORS.get(clause.op)
    if info is None:
        return clause.op
    return gettext(info.negated_label if clause.negate else info.label)
