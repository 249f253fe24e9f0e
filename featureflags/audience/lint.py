"""What is odd about the rules of a segment: by themselves, and beside the values that rows have.

In: a definition, saved or not. Out: findings, each with its place and the way to mend it. Hidden SQL:
the suggestions of the kind, and one pass over its rows for what they do not show, within a time limit.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.utils.translation import gettext as _

from featureflags.audience.attribute_values import Suggestion, suggestions
from featureflags.audience.sizes import segment_sizes
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import CUSTOM_PREFIX, catalogue, type_of
from featureflags.core.conf import app_settings
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_or_user
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.definitions import EXISTS, Clause, Rule, SegmentDefinition
from featureflags.segments.formatting import show
from featureflags.segments.lint import Finding, lint_rules
from featureflags.segments.operator_labels import OPERATORS, ValueKind
from featureflags.segments.ruleset import Ruleset
from featureflags.segments.value_sets import is_plain, path_of

MOST_ASKED: Final = 200
"""Conditions of one pass."""
NOBODY: Final = "nobody"
PREFIX: Final = "?"
"""Begins the keys of the questions: no segment can have such a key."""

_JSON_TYPES: Final[Mapping[ValueKind, frozenset[str]]] = {
    ValueKind.STRING: frozenset({"string"}),
    ValueKind.REGEX: frozenset({"string"}),
    ValueKind.SEMVER: frozenset({"string"}),
    ValueKind.NUMBER: frozenset({"number"}),
    ValueKind.INSTANT: frozenset({"string", "number"}),
}
"""What an operator can compare, by the types of JSON."""
_JSON_TYPE_OF: Final = {"datetime": "string", "semver": "string", "list": "other"}
"""The type of JSON of what suggestions name more exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """The findings in the order of the rules."""

    findings: tuple[Finding, ...]
    is_complete: bool
    """False: time was up before the rows could be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A finding that holds if nobody fulfils these conditions."""

    clauses: tuple[Clause, ...]
    finding: Finding


def lint_segment(definition: SegmentDefinition, *, seconds: float | None = None) -> Lint:
    """The findings on a segment. `seconds`: for the pass; by default the setting `IMPACT_SECONDS`.

    Raises DatabaseError.
    """
    kind = kind_or_user(definition.kind)
    found = lint_rules(definition.rules, lambda name: type_of(name, kind.name))
    dead = {finding.rule for finding in found if finding.is_dead}
    known = suggestions(kind.name)
    found += _operators_that_do_not_fit(definition.rules, known, kind)
    questions = list(_questions(definition.rules, dead, known, kind))[:MOST_ASKED]
    seconds = app_settings().impact_seconds if seconds is None else seconds
    try:
        limit = TimeLimit(kind.rows().db, seconds)
        with limit.statements():
            found += _answered(definition, questions)
        is_complete = True
    except TimeIsUp:
        is_complete = False
    # That nobody matches a rule is said only where no condition of it explains why.
    named = {one.rule for one in found if one.clause is not None}
    kept = (one for one in found if one.code != NOBODY or one.rule not in named)
    ordered = sorted(kept, key=lambda one: (one.rule, one.clause or 0))
    return Lint(findings=tuple(ordered), is_complete=is_complete)


def _answered(definition: SegmentDefinition, questions: Sequence[_Question]) -> list[Finding]:
    """The findings that hold."""
    if not questions:
        return []
    asked = {f"{PREFIX}{number}": question for number, question in enumerate(questions)}
    segments = {
        key: SegmentDefinition(
            key=key, kind=definition.kind, rules=(Rule(clauses=question.clauses),)
        )
        for key, question in asked.items()
    }
    ruleset = Ruleset(segments.values())
    if any(segment.names for segment in map(ruleset.segment, asked) if segment is not None):
        current = known_ruleset().ruleset
        ruleset = current.evolve([*current.definitions.values(), *segments.values()], version=0)
    counted = segment_sizes(
        now=now_in_microseconds(), ruleset=ruleset, keys=list(asked), finish=False
    )
    return [asked[size.key].finding for size in counted.sizes if size.at_most == 0]


def _questions(
    rules: Sequence[Rule], dead: set[int], known: Mapping[str, Suggestion], kind: CompiledKind
) -> Iterator[_Question]:
    for number, rule in enumerate(rules, start=1):
        for position, clause in enumerate(rule.clauses, start=1):
            yield from _of_clause(clause, number, position, known, kind)
        if rule.clauses and number not in dead:
            finding = Finding(
                code=NOBODY,
                message=_("nobody matches it at the moment"),
                advice=_("Remove it, or look at its conditions: together they exclude everybody."),
                rule=number,
            )
            yield _Question(clauses=rule.clauses, finding=finding)


def _of_clause(
    clause: Clause,
    rule: int,
    position: int,
    known: Mapping[str, Suggestion],
    kind: CompiledKind,
) -> Iterator[_Question]:
    path = path_of(clause)
    if path is None or not is_plain(clause):
        return
    name = path[0]
    if name.startswith(CUSTOM_PREFIX) and name not in known:
        yield _Question(
            clauses=(Clause(attribute=name, op=EXISTS, values=(True,)),),
            finding=Finding(
                code="unknown_field",
                message=_("nobody has the metadata field “%s”") % name.removeprefix(CUSTOM_PREFIX),
                advice=_nearest_field(name, known),
                rule=rule,
                clause=position,
            ),
        )
    elif clause.op == "in":
        suggested = known.get(name, Suggestion()).values if len(path) == 1 else ()
        for value in _asked_values(clause, path, suggested, kind):
            yield _Question(
                clauses=(replace(clause, values=(value,), negate=False),),
                finding=Finding(
                    code="unknown_value",
                    message=_("nobody has the value %s") % show(value),
                    advice=_nearest_value(value, suggested),
                    rule=rule,
                    clause=position,
                ),
            )


def _asked_values(
    clause: Clause, path: tuple[str, ...], suggested: Sequence[str], kind: CompiledKind
) -> list[JSONValue]:
    """The values that nobody may have: neither choices, nor true and false, nor what was seen."""
    attribute = catalogue(kind.name).get(path[0])
    if attribute is not None and attribute.type is AttributeType.BOOLEAN:
        return []
    choices = () if attribute is None else (value for value, _label in attribute.choices)
    seen = {*suggested, *choices}
    return [value for value in clause.values if not (isinstance(value, str) and value in seen)]


def _nearest_field(name: str, known: Mapping[str, Suggestion]) -> str:
    fields = [field for field in known if field.startswith(CUSTOM_PREFIX)]
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.7)
    if near:
        return _("Did you mean “%s”?") % near[0].removeprefix(CUSTOM_PREFIX)
    return _("Look at its spelling, or wait until somebody has it.")


def _nearest_value(value: JSONValue, suggested: Sequence[str]) -> str:
    if isinstance(value, str):
        same = [one for one in suggested if one.casefold() == value.casefold()]
        near = same or difflib.get_close_matches(value, suggested, n=1)
        if near:
            return _("Did you mean %s?") % show(near[0])
    return _("Remove it, or look at its spelling.")


def _operators_that_do_not_fit(
    rules: Sequence[Rule], known: Mapping[str, Suggestion], kind: CompiledKind
) -> list[Finding]:
    """Conditions on metadata of which all values seen have a type that cannot be compared."""
    return [
        finding
        for number, rule in enumerate(rules, start=1)
        for position, clause in enumerate(rule.clauses, start=1)
        if (finding := _misfit(clause, number, position, known, kind)) is not None
    ]


def _misfit(
    clause: Clause, rule: int, position: int, known: Mapping[str, Suggestion], kind: CompiledKind
) -> Finding | None:
    path = path_of(clause)
    if path is None or len(path) > 1 or not is_plain(clause):
        return None
    types = known.get(path[0], Suggestion()).types
    seen = {_JSON_TYPE_OF.get(one, one) for one in types}
    info = OPERATORS.get(clause.op)
    is_open = type_of(path[0], kind.name) is AttributeType.ANY
    if info is None or not is_open or not seen or "other" in seen:
        # A list may hold anything.
        return None
    wanted = _JSON_TYPES.get(info.value_kind)
    if clause.op == "in":
        wanted = frozenset(_type_name(value) for value in clause.values)
    if wanted is None or wanted & seen:
        return None
    return Finding(
        code="type",
        message=_("“%(field)s” holds %(seen)s, and this condition looks for %(wanted)s")
        % {
            "field": path[0].removeprefix(CUSTOM_PREFIX),
            "seen": _listed(seen),
            "wanted": _listed(wanted),
        },
        advice=_("Choose another comparison, or values of that type."),
        rule=rule,
        clause=position,
    )


def _type_name(value: JSONValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "other"


def _listed(types: set[str] | frozenset[str]) -> str:
    names = {
        "string": _("text"),
        "number": _("numbers"),
        "boolean": _("true or false"),
        "other": _("lists or objects"),
    }
    return _(" or ").join(names[one] for one in names if one in types)
