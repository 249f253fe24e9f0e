"""Differences between our documents and those of another program, such as LaunchDarkly.

Hidden SQL: `with_kinds` and `import_remarks` read the kinds of the stored segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from featureflags.core.uncached import fresh_rows
from featureflags.editing.about import unknown_owners
from featureflags.editing.condition_sentences import condition_in_words
from featureflags.editing.several_kinds import in_one_kind, kind_of_several
from featureflags.kinds.registry import USER
from featureflags.models import Segment
from featureflags.models.stored_forms import in_stored_form
from featureflags.segments.clause_values import values_of
from featureflags.segments.definitions import (
    EXISTS,
    SEGMENT_MATCH,
    Clause,
    InvalidDefinition,
    Problem,
)
from featureflags.segments.document_kinds import kind_of_document, kinds_of_document
from featureflags.segments.formatting import show
from featureflags.segments.operator_labels import LAUNCHDARKLY
from featureflags.segments.references import levels

_THEIRS: Final = LAUNCHDARKLY | {SEGMENT_MATCH}


def import_remarks(raw: object) -> list[str]:
    """What an import of this document changes to save it: values that users have in another form, and
    owners who are not users here.

    Each remark names segment, rule and condition. A document that is not valid has none.
    """
    listed = raw.get("segments") if isinstance(raw, dict) else None
    return unknown_owners(listed) + [
        f"{key}: {remark}"
        for key, segment in (with_kinds(listed).items() if isinstance(listed, dict) else ())
        if isinstance(segment, dict)
        for remark in _remarks_on(segment)
    ]


def _remarks_on(segment: Mapping[str, Any]) -> list[Problem]:
    try:
        written, remarks = in_one_kind(segment)
    except InvalidDefinition:
        return []
    return [*remarks, *rules_of_document(written)[1]]


def with_kinds(listed: Mapping[str, Any]) -> dict[str, Any]:
    """The same segments; one that only uses others is of the kind of those that it uses."""
    with fresh_rows():
        kinds = dict(Segment.objects.values_list("key", "kind"))
    found = {key: raw for key, raw in listed.items() if isinstance(raw, dict)}
    kinds |= {key: kind_of_several(raw) for key, raw in found.items() if kinds_of_document(raw)}
    rest = {key: _used_by(raw) for key, raw in found.items() if not kinds_of_document(raw)}
    written = dict(listed)
    for key in (key for layer in levels(rest)[0] for key in layer):
        used = {kinds[name] for name in rest[key] if name in kinds}
        kinds[key] = used.pop() if len(used) == 1 else USER
        if kinds[key] != USER:
            written[key] = {**found[key], "kind": kinds[key]}
    return written


def _used_by(raw: Mapping[str, Any]) -> frozenset[str]:
    """The segments that its rules name, whatever else is wrong with them."""
    rules = raw.get("rules")
    clauses = [
        clause
        for rule in (rules if isinstance(rules, list) else ())
        if isinstance(rule, dict) and isinstance(rule.get("clauses"), list)
        for clause in rule["clauses"]
        if isinstance(clause, dict) and isinstance(clause.get("values"), list)
    ]
    return frozenset(key for one in clauses for key in one["values"] if isinstance(key, str))


def rules_of_document(segment: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """The rules of a document as they are saved, and what is changed for that."""
    kind, raw = kind_of_document(segment), segment.get("rules")
    if not isinstance(raw, list):
        return in_stored_form(raw, kind)
    found = [
        _with_values(rule, number, kind) if isinstance(rule, dict) else (rule, [])
        for number, rule in enumerate(raw, start=1)
    ]
    rules, remarks = in_stored_form([rule for rule, _said in found], kind)
    if not isinstance(rules, list):
        return rules, remarks
    remarks = [*(problem for _rule, said in found for problem in said), *remarks]
    for number, rule in enumerate(rules, start=1):
        if isinstance(rule, dict) and rule.get("clauses") == []:
            # LaunchDarkly's way to say everybody. Here such a rule is unfinished, and matches nobody.
            rules = [
                *rules[: number - 1],
                {**rule, "clauses": [_everybody(kind)]},
                *rules[number:],
            ]
            message = _("it has no condition, so that it takes everybody: saved as “%s”")
            words = condition_in_words(Clause(attribute="kind", op="in", values=(kind,)), kind)
            remarks.append(Problem(code="everybody", rule=number, message=message % words))
    return rules, remarks


def _everybody(kind: str) -> dict[str, Any]:
    return {"attribute": "kind", "op": "in", "values": [kind], "contextKind": kind}


def _with_values(
    rule: dict[str, Any], number: int, kind: str
) -> tuple[dict[str, Any], list[Problem]]:
    """A rule without the values that no row can match, which LaunchDarkly takes and we refuse to save."""
    clauses, remarks = rule.get("clauses"), list[Problem]()
    if not isinstance(clauses, list):
        return rule, remarks
    written: list[Any] = []
    is_dead = False
    for place, clause in enumerate(clauses, start=1):
        values, left_out = _values(clause)
        if values is None or (values and not left_out):
            written.append(clause)
            continue
        message = _("no value can match, so that it holds for everybody who has the attribute")
        if values:
            message = _("%s never match with this operator: left out") % ", ".join(
                map(show, left_out)
            )
            written.append({**clause, "values": values})
        elif clause.get("negate") is not True:
            message = _("no value can match, so that the rule takes nobody: saved as 0 %")
            is_dead = True
        elif clause.get("op") != SEGMENT_MATCH:
            written.append({**clause, "op": EXISTS, "values": [True], "negate": False})
        else:
            message = _("it names no segment, so that it holds for everybody: left out")
        remarks.append(Problem(code="values", rule=number, clause=place, message=message))
    if not remarks:
        return rule, remarks
    if is_dead:
        rule = {**rule, "weight": 0, "bucketBy": "", "rolloutContextKind": kind}
    return {**rule, "clauses": written or [_everybody(kind)]}, remarks


def _values(clause: object) -> tuple[list[Any] | None, list[Any]]:
    """The values of one of LaunchDarkly's conditions that some row can match, and the others.

    None in their place: it is of another form, or what is wrong with it is said elsewhere.
    """
    if not isinstance(clause, dict) or clause.get("op") not in _THEIRS:
        return None, []
    if clause.get("orMissing") is True or clause.get("ignoreCase") is True:
        # Ours: a mistake in our own form is named.
        return None, []
    op, values = clause["op"], clause.get("values") or []
    if not isinstance(values, list):
        return None, []
    # An expression that RE2 lacks may match in the SDK: only values of other types are left out.
    if op in {"in", SEGMENT_MATCH}:
        return values, []
    kept, left_out = list[Any](), list[Any]()
    for one in values:
        never = not isinstance(one, str) if op == "matches" else values_of(op, [one])[1]
        (left_out if never else kept).append(one)
    return kept, left_out
