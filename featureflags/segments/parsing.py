"""From LaunchDarkly's segment JSON to definitions: everything is checked, nothing is dropped.

``parse_rules`` and ``parse_definition`` refuse with all problems at once. ``load_rules`` is for stored
rules that bypassed validation: it never raises, and a broken rule matches nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from featureflags.core.i18n import gettext
from featureflags.core.types import JSONValue
from featureflags.segments.clause_values import values_of
from featureflags.segments.definitions import (
    EXISTS,
    SEGMENT_MATCH,
    USER_KIND,
    Clause,
    InvalidDefinition,
    Problem,
    Rule,
    SegmentDefinition,
)
from featureflags.segments.document_kinds import kind_of_document
from featureflags.segments.json_limits import text_problem
from featureflags.segments.member_json import MEMBER_FIELDS, parse_begins, parse_members
from featureflags.segments.operator_labels import IGNORES_CASE, OPERATORS
from featureflags.segments.percentages import WHOLE, bucket_path
from featureflags.segments.references import attribute_path

_ROLLOUT_FIELDS: Final = ("weight", "bucketBy", "rolloutContextKind")
_RULE_FIELDS: Final = {"id", "description", "clauses", *_ROLLOUT_FIELDS}
_CLAUSE_FIELDS: Final = {
    *("attribute", "op", "values", "negate", "contextKind"),
    *("ignoreCase", "orMissing"),
}
_METADATA: Final = {"name", "description", "tags", "creationDate", "deleted"}
_BIG: Final = {"unbounded", "unboundedContextKind", "generation"}
_DEFINITION_FIELDS: Final = {
    *("key", "kind", "salt", "version", "rules"),
    *MEMBER_FIELDS,
    *_METADATA,
    *_BIG,
}


class _Findings:
    """The problems found so far, and the position of the parser."""

    def __init__(self, kind: str = USER_KIND) -> None:
        self.kind = kind
        """The kind of the segment, which its conditions may name."""
        self.problems: list[Problem] = []
        self.rule: int | None = None
        self.clause: int | None = None

    def add(self, code: str, message: str) -> None:
        self.problems.append(
            Problem(code=code, message=message, rule=self.rule, clause=self.clause)
        )

    def text(self, raw: Mapping[object, object], name: str) -> str:
        """An optional text; absent and null are empty."""
        value = raw.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.add("wrong_type", gettext("%(name)s must be text") % {"name": name})
            return ""
        problem = text_problem(value)
        if problem is not None:
            self.add("bad_text", f"{name}: {problem}")
            return ""
        return value

    def flag(self, raw: Mapping[object, object], name: str) -> bool:
        """An optional boolean; absent and null are False."""
        value = raw.get(name)
        if value is not None and not isinstance(value, bool):
            self.add("wrong_type", gettext("%(name)s must be true or false") % {"name": name})
        return value is True

    def fields(self, raw: Mapping[object, object], known: Collection[str]) -> None:
        for name in raw:
            if name not in known:
                self.add("unknown_field", gettext("unknown field %(name)r") % {"name": name})


def parse_rules(raw: object, kind: str = USER_KIND) -> tuple[Rule, ...]:
    """Rules of a segment of this kind from their JSON, a list of objects.

    Raises InvalidDefinition with every problem.
    """
    findings = _Findings(kind)
    rules = _rules(raw, findings)
    if findings.problems:
        raise InvalidDefinition(findings.problems)
    return rules


def parse_definition(raw: object, *, tolerate: Collection[str] = ()) -> SegmentDefinition:
    """A segment from its LaunchDarkly JSON, an object with a ``key``.

    Its kind is its ``kind``, or the one that LaunchDarkly's ``contextKind`` names in all conditions,
    percentages and members. Names, tags and the like are accepted and ignored. ``includedUntil``,
    ``excludedUntil`` and ``membersFrom`` are ours, see ``member_json``. Raises InvalidDefinition
    with every problem whose code is not tolerated; ``rule_empty`` and ``values_empty`` can be.
    """
    findings = _Findings()
    definition = _definition(raw, findings)
    problems = [problem for problem in findings.problems if problem.code not in tolerate]
    if problems:
        raise InvalidDefinition(problems)
    return definition


def load_rules(raw: object, kind: str = USER_KIND) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """Rules as stored, and what is wrong with them. Never raises.

    A rule with a problem keeps its place but has no clauses, so that it matches nobody.
    """
    findings = _Findings(kind)
    rules = _rules(raw, findings)
    broken = {problem.rule for problem in findings.problems}
    if None in broken:
        return (), tuple(findings.problems)
    kept = tuple(
        Rule(id=rule.id, description=rule.description, clauses=()) if number in broken else rule
        for number, rule in enumerate(rules, start=1)
    )
    return kept, tuple(findings.problems)


def _definition(raw: object, findings: _Findings) -> SegmentDefinition:
    if not isinstance(raw, dict):
        findings.add("wrong_type", gettext("a segment must be an object"))
        return SegmentDefinition(key="")
    findings.fields(raw, _DEFINITION_FIELDS)
    key = findings.text(raw, "key")
    if not key:
        findings.add("key_missing", gettext("a segment must have a key"))
    if raw.get("deleted", False) is not False:
        findings.add("deleted", gettext("a deleted segment cannot be used"))
    if raw.get("unbounded") not in {None, False}:
        findings.add("unsupported_field", gettext("unbounded: big segments are not supported"))
    version = raw.get("version", 0)
    if isinstance(version, bool) or not isinstance(version, int):
        findings.add("wrong_type", gettext("version must be a whole number"))
        version = 0
    rules = raw.get("rules")
    findings.kind = findings.text(raw, "kind") or kind_of_document(raw)
    members, member_problems = parse_members(raw, findings.kind)
    begins, begin_problems = parse_begins(raw, members)
    findings.problems.extend((*member_problems, *begin_problems))
    return SegmentDefinition(
        key=key,
        kind=findings.kind,
        rules=_rules([] if rules is None else rules, findings),
        included=members[True],
        excluded=members[False],
        begins=begins,
        version=version,
        salt=findings.text(raw, "salt"),
    )


def _rules(raw: object, findings: _Findings) -> tuple[Rule, ...]:
    if not isinstance(raw, list | tuple):
        findings.add("wrong_type", gettext("the rules must be a list"))
        return ()
    seen: set[str] = set()
    rules = []
    for findings.rule, item in enumerate(raw, start=1):
        findings.clause = None
        rule = _rule(item, findings)
        findings.clause = None
        if rule.id and rule.id in seen:
            findings.add(
                "rule_id_twice",
                gettext("its id %(id)r is used by a rule before it") % {"id": rule.id},
            )
        seen.add(rule.id)
        rules.append(rule)
    findings.rule = None
    return tuple(rules)


def _rule(raw: object, findings: _Findings) -> Rule:
    if not isinstance(raw, dict):
        findings.add("wrong_type", gettext("a rule must be an object"))
        return Rule(clauses=())
    findings.fields(raw, _RULE_FIELDS)
    identity, description = findings.text(raw, "id"), findings.text(raw, "description")
    clauses = raw.get("clauses")
    if clauses is None or clauses == []:
        findings.add("rule_empty", gettext("add at least one condition"))
        clauses = []
    elif not isinstance(clauses, list | tuple):
        findings.add("wrong_type", gettext("its clauses must be a list"))
        clauses = []
    parsed = []
    for findings.clause, item in enumerate(clauses, start=1):
        parsed.append(_clause(item, findings))
    findings.clause = None
    weight, bucket_by, rollout_kind = _rollout(raw, findings)
    return Rule(
        id=identity,
        description=description,
        clauses=tuple(parsed),
        weight=weight,
        bucket_by=bucket_by,
        rollout_context_kind=rollout_kind,
    )


def _rollout(
    raw: Mapping[object, object], findings: _Findings
) -> tuple[int | None, str, str | None]:
    """The percentage of a rule. Without a weight LaunchDarkly looks at nothing else of it."""
    weight = raw.get("weight")
    if weight is not None and (
        isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= WHOLE
    ):
        message = gettext("weight must be a whole number from 0 to %(whole)s, which is 100 %%")
        findings.add("weight", message % {"whole": WHOLE})
        weight = None
    bucket_by = findings.text(raw, "bucketBy")
    rollout_kind = findings.text(raw, "rolloutContextKind") or None
    if weight is not None:
        try:
            bucket_path(bucket_by, rollout_kind, findings.kind)
        except ValueError as error:
            findings.add("bucket_by", str(error))
    return weight if isinstance(weight, int) else None, bucket_by, rollout_kind


def _clause(raw: object, findings: _Findings) -> Clause:
    if not isinstance(raw, dict):
        findings.add("wrong_type", gettext("a condition must be an object"))
        return Clause(attribute="", op="", values=())
    findings.fields(raw, _CLAUSE_FIELDS)
    attribute = findings.text(raw, "attribute")
    op = findings.text(raw, "op")
    context_kind = findings.text(raw, "contextKind") or None
    if context_kind not in {None, findings.kind}:
        message = gettext("the condition is on %(context_kind)r, and the segment on %(kind)r")
        shown = {"context_kind": context_kind, "kind": findings.kind}
        findings.add("context_kind", message % shown)
    elif op != SEGMENT_MATCH:
        _check_attribute(attribute, context_kind, findings)
    clause = Clause(
        attribute=attribute,
        op=op,
        values=_values(op, raw.get("values"), findings),
        negate=findings.flag(raw, "negate"),
        context_kind=context_kind,
        ignore_case=findings.flag(raw, "ignoreCase"),
        or_missing=findings.flag(raw, "orMissing"),
    )
    _check_options(clause, findings)
    return clause


def _check_options(clause: Clause, findings: _Findings) -> None:
    if clause.ignore_case and clause.op not in IGNORES_CASE:
        message = gettext("ignoreCase is for %(ops)s")
        findings.add("option", message % {"ops": ", ".join(sorted(IGNORES_CASE))})
    if clause.or_missing and (not clause.negate or clause.op in {EXISTS, SEGMENT_MATCH}):
        findings.add("option", gettext("orMissing is for negated conditions on a value"))


def _check_attribute(attribute: str, context_kind: str | None, findings: _Findings) -> None:
    try:
        attribute_path(attribute, context_kind)
    except ValueError as error:
        findings.add("attribute" if attribute else "attribute_missing", str(error))


def _values(op: str, raw: object, findings: _Findings) -> tuple[JSONValue, ...]:
    if not op:
        findings.add("operator_missing", gettext("choose an operator"))
    elif op not in OPERATORS:
        findings.add("operator_unknown", gettext("unknown operator %(op)r") % {"op": op})
    values, problems = values_of(op, raw)
    for code, message in problems:
        findings.add(code, message)
    return values
