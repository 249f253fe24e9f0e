"""Differences between our documents and those of another program, such as LaunchDarkly.

Hidden SQL: `with_kinds` and `import_remarks` read the kinds of the stored segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from featureflags.core.uncached import fresh_rows
from featureflags.editing.about import unknown_owners
from featureflags.editing.condition_sentences import condition_in_words
from featureflags.kinds.registry import USER
from featureflags.models import Segment
from featureflags.models.stored_forms import in_stored_form
from featureflags.segments.definitions import Clause, Problem
from featureflags.segments.document_kinds import kind_of_document, kinds_of_document
from featureflags.segments.references import levels


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
        for remark in rules_of_document(segment)[1]
    ]


def with_kinds(listed: Mapping[str, Any]) -> dict[str, Any]:
    """The same segments; one that only uses others is of the kind of those that it uses."""
    with fresh_rows():
        kinds = dict(Segment.objects.values_list("key", "kind"))
    found = {key: raw for key, raw in listed.items() if isinstance(raw, dict)}
    kinds |= {key: kind_of_document(raw) for key, raw in found.items() if kinds_of_document(raw)}
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
    kind = kind_of_document(segment)
    rules, remarks = in_stored_form(segment.get("rules"), kind)
    if not isinstance(rules, list):
        return rules, remarks
    clause = {"attribute": "kind", "op": "in", "values": [kind], "contextKind": kind}
    for number, rule in enumerate(rules, start=1):
        if isinstance(rule, dict) and rule.get("clauses") == []:
            # LaunchDarkly's way to say everybody. Here such a rule is unfinished, and matches nobody.
            rules = [*rules[: number - 1], {**rule, "clauses": [clause]}, *rules[number:]]
            message = _("it has no condition, so that it takes everybody: saved as “%s”")
            words = condition_in_words(Clause(attribute="kind", op="in", values=(kind,)), kind)
            remarks.append(Problem(code="everybody", rule=number, message=message % words))
    return rules, remarks
