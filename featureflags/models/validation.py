"""Whether a segment may be saved: the one validation behind admin, API and import.

It knows the catalogue, but no model: the graph of all other segments is passed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from featureflags.contexts.attributes import (
    CUSTOM_PREFIX,
    catalogue,
    is_domain,
    is_user_writable,
    type_of,
    verifier_of,
    verifiers,
)
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import USER
from featureflags.models.limits import TOO_MANY_VALUES, limit_problem
from featureflags.models.stored_forms import (
    in_stored_form,
    lower_case_attribute,
    stored_form,
)
from featureflags.segments.attribute_types import check_types
from featureflags.segments.definitions import (
    SEGMENT_MATCH,
    Clause,
    InvalidDefinition,
    Problem,
    Rule,
)
from featureflags.segments.formatting import show
from featureflags.segments.parsing import parse_rules
from featureflags.segments.references import attribute_path, find_cycle, reachable, references

MOST_VALUES = 50_000
"""Values of all conditions of a segment: a query takes 250,000 parameters on SQLite, and every
process keeps the compiled rules."""

Graph = Mapping[str, frozenset[str]]
"""Segment key → keys of the segments that its rules name."""


_COMES_FIRST: Mapping[str, tuple[str, ...]] = {
    "operator_missing": ("attribute_missing",),
    "values_empty": ("attribute_missing", "operator_missing"),
}
"""Problems by their codes, and those of the same condition that they follow from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRules:
    """Rules, parsed and checked once, for all that is asked of them in one save."""

    rules: tuple[Rule, ...]
    """Empty if they could not be parsed."""
    problems: tuple[Problem, ...]
    """What is wrong with the rules by themselves."""
    is_parsed: bool
    kind: str = USER

    def problems_of(self, key: str, others: Graph) -> list[Problem]:
        """All problems of these rules as those of segment `key`; empty if they may be saved."""
        problems = [*self.problems]
        if self.is_parsed:
            problems += _unknown_segments(key, self.rules, others)
        if not problems:
            problems += _cycle(key, self.rules, others)
        return problems

    def warnings(self) -> list[Problem]:
        """Rules that test only what anybody can type at sign-up, with what would make them safe."""
        return [
            Problem(
                code="unverified",
                rule=number,
                message=_advice(rule, self.kind),
            )
            for number, rule in enumerate(self.rules, start=1)
            if _is_user_written(rule, self.kind)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRules:
    """Rules in the form in which they are saved."""

    raw: JSONValue
    checked: CheckedRules
    remarks: tuple[Problem, ...]
    """On each value that was changed for that form."""
    kind: str
    _text: str | None

    def are(self, raw: object, kind: str) -> bool:
        """True if these rules are the same JSON; as text, True and 1 stay apart."""
        return kind == self.kind and self._text is not None and self._text == _as_text(raw)


def store(raw_rules: object, kind: str = USER) -> StoredRules:
    """Rules of a segment of this kind as they are to be saved, checked; valid or not."""
    raw, remarks = in_stored_form(raw_rules, kind)
    return StoredRules(
        raw=raw,
        checked=check_rules(raw, kind),
        remarks=tuple(remarks),
        kind=kind,
        _text=_as_text(raw),
    )


def check_rules(raw_rules: object, kind: str = USER) -> CheckedRules:
    """Parse and check rules. For a condition that is incomplete, only the first missing part is a
    problem."""
    problem = limit_problem(raw_rules)
    if problem is not None:
        return CheckedRules(rules=(), problems=(problem,), is_parsed=False, kind=kind)
    try:
        rules = parse_rules(raw_rules, kind)
    except InvalidDefinition as error:
        problems = _without_what_follows(error.problems)
        return CheckedRules(rules=(), problems=tuple(problems), is_parsed=False, kind=kind)
    problems = check_types(rules, lambda name: type_of(name, kind))
    problems += _never_stored(rules, kind)
    problems += _too_many_values(rules)
    return CheckedRules(rules=rules, problems=tuple(problems), is_parsed=True, kind=kind)


def find_problems(key: str, raw_rules: object, others: Graph, kind: str = USER) -> list[Problem]:
    """As `CheckedRules.problems_of`, for rules that are asked about once."""
    return check_rules(raw_rules, kind).problems_of(key, others)


def _as_text(raw: object) -> str | None:
    """None for what is not JSON, or nests without end."""
    try:
        return json.dumps(raw)
    except (TypeError, ValueError, RecursionError):
        return None


def _without_what_follows(problems: Sequence[Problem]) -> list[Problem]:
    """Without an attribute, the missing operator and values are not problems of their own."""
    missing = {(problem.rule, problem.clause, problem.code) for problem in problems}
    return [
        problem
        for problem in problems
        if not any(
            (problem.rule, problem.clause, code) in missing
            for code in _COMES_FIRST.get(problem.code, ())
        )
    ]


def _is_user_written(rule: Rule, kind: str) -> bool:
    """True if every clause tests a user-written attribute, or asks for a value that is not proven."""
    proving = verifiers(kind)

    def is_written(clause: Clause) -> bool:
        if clause.attribute in proving:
            return clause.negate or clause.values != (True,)
        name = attribute_path(clause.attribute, clause.context_kind)[0] if clause.attribute else ""
        return is_user_writable(name, kind)

    tested = [clause for clause in rule.clauses if clause.attribute not in proving]
    return bool(tested) and all(map(is_written, rule.clauses))


def _advice(rule: Rule, kind: str) -> str:
    """What is wrong, naming the attributes, and what would make the rule safe."""
    proving = verifiers(kind)
    names = dict.fromkeys(
        attribute_path(clause.attribute, clause.context_kind)[0]
        for clause in rule.clauses
        if clause.attribute not in proving
    )
    said = gettext("it tests only what users write themselves (%(labels)s).") % {
        "labels": ", ".join(_label(name, kind) for name in names)
    }
    proofs = {verifier_of(name, kind) for name in names}
    if len(proofs) == 1 and (proof := proofs.pop()) is not None:
        advice = gettext("Add the condition “%(label)s is true” before it grants anything.") % {
            "label": _label(proof, kind)
        }
    elif all(name.startswith(CUSTOM_PREFIX) for name in names):
        advice = gettext(
            "Let only your own code write these fields, or add a condition on something else,"
            " before it grants anything."
        )
    else:
        advice = gettext(
            "Anybody can call themselves so: add a condition on something that only your own code"
            " writes, such as a role, before it grants anything."
        )
    return f"{said} {advice}"


def _label(name: str, kind: str) -> str:
    attribute = catalogue(kind).get(name)
    return name.removeprefix(CUSTOM_PREFIX) if attribute is None else str(attribute.label)


def _never_stored(rules: tuple[Rule, ...], kind: str) -> list[Problem]:
    """Values that no user can have, since the attribute is stored in another form."""
    return [
        Problem(code="value_form", rule=number, clause=position, message=why)
        for number, rule in enumerate(rules, start=1)
        for position, clause in enumerate(rule.clauses, start=1)
        if (name := lower_case_attribute(clause.attribute, clause.context_kind, clause.op, kind))
        for value in clause.values
        if isinstance(value, str) and (why := _form_problem(name, value, kind)) is not None
    ]


def _too_many_values(rules: tuple[Rule, ...]) -> list[Problem]:
    total = sum(len(clause.values) for rule in rules for clause in rule.clauses)
    if total <= MOST_VALUES:
        return []
    message = gettext(
        "the conditions have %(total)s values; %(most)s are allowed. Make the users members instead"
    )
    shown = {"total": f"{total:,}", "most": f"{MOST_VALUES:,}"}
    return [Problem(code=TOO_MANY_VALUES, message=message % shown)]


def _form_problem(name: str, value: str, kind: str) -> str | None:
    form = stored_form(name, value, kind)
    domains = is_domain(name, kind)
    if domains and "@" in form:
        domain = form.rpartition("@")[2]
        if domain:
            text = gettext("%(value)s matches nobody, since a domain has no @. Write %(form)s")
        else:
            text = gettext("%(value)s matches nobody, since a domain has no @")
        form = domain
    elif domains and "@" in value:
        text = gettext("%(value)s matches nobody, since a domain has no @. Write %(form)s")
    elif form != value:
        text = gettext(
            "%(value)s matches nobody, since %(name)s is stored in lower case. Write %(form)s"
        )
    else:
        return None
    return text % {"value": show(value), "form": show(form), "name": name}


def _unknown_segments(key: str, rules: tuple[Rule, ...], others: Graph) -> list[Problem]:
    return [
        Problem(
            code="segment_unknown",
            rule=number,
            clause=position,
            message=gettext("there is no segment “%(name)s”") % {"name": name},
        )
        for number, rule in enumerate(rules, start=1)
        for position, clause in enumerate(rule.clauses, start=1)
        if clause.op == SEGMENT_MATCH
        for name in sorted(references([Rule(clauses=(clause,))]))
        if name != key and name not in others
    ]


def _cycle(key: str, rules: tuple[Rule, ...], others: Graph) -> list[Problem]:
    named = references(rules)
    if not named:
        return []
    graph = {**others, key: named}
    # A cycle among segments that this one does not use is not its problem.
    below = reachable(lambda name: graph.get(name, ()), [key])
    cycle = find_cycle({name: graph[name] for name in below & graph.keys()})
    if cycle is None:
        return []
    for number, rule in enumerate(rules, start=1):
        for position, clause in enumerate(rule.clauses, start=1):
            if references([Rule(clauses=(clause,))]) & set(cycle):
                path = " → ".join(cycle)
                return [
                    Problem(
                        code="cycle",
                        rule=number,
                        clause=position,
                        message=gettext("these segments use each other: %(path)s") % {"path": path},
                    )
                ]
    message = gettext("segments use each other: %(path)s") % {"path": " → ".join(cycle)}
    return [Problem(code="cycle", message=message)]
