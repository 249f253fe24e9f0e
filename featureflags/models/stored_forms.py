"""Values of rules in the form in which users have them, and tags in the form in which they are stored.

E-mail addresses, their domains and keys are stored in lower case, so a rule with capitals would
match nobody. The model, the editor, the REST API and the import write such values in lower case,
and name each one that they changed.
"""

from __future__ import annotations

import operator
import re
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from featureflags.contexts.attributes import is_domain, is_lower_case
from featureflags.core.json_numbers import normalised
from featureflags.kinds.registry import USER
from featureflags.segments.definitions import Problem
from featureflags.segments.formatting import show
from featureflags.segments.json_limits import json_problem
from featureflags.segments.references import attribute_path

TEXT_OPERATORS: Final = frozenset({"in", "startsWith", "endsWith", "contains"})
"""The operators that compare a text as it is. A regular expression may ignore case by itself."""

MOST_TAGS: Final = 50
_TAG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
"""As LaunchDarkly's tags, in lower case: two that differ in case are one."""


def in_stored_form(raw_rules: Any, kind: str = USER) -> tuple[Any, list[Problem]]:
    """Rules as they are to be saved, and a remark on each value that was changed for that.

    In: rules as JSON, valid or not; they are not changed. Out: the same object where nothing
    changes. Large whole floats become the integers that their digits say, which needs no remark:
    they are the same numbers. A remark has the code `stored_form`.
    """
    remarks: list[Problem] = []
    if not isinstance(raw_rules, list):
        return raw_rules, remarks
    rules = [_rule(rule, kind, number, remarks) for number, rule in enumerate(raw_rules, start=1)]
    is_unchanged = all(map(operator.is_, rules, raw_rules))
    return (raw_rules if is_unchanged else rules), remarks


def stored_form(attribute: str, value: str, kind: str) -> str:
    """A text as users have it: in lower case, and a domain without the @ before it."""
    form = value.lower()
    # What is before the @ is not dropped: it would widen the rule to everybody of that domain.
    return form[1:] if form[:1] == "@" != form and is_domain(attribute, kind) else form


def lower_case_attribute(
    attribute: object, context_kind: object, op: object, kind: str = USER
) -> str | None:
    """The name of the attribute, if this operator compares it with texts in lower case."""
    if not isinstance(attribute, str) or not isinstance(op, str) or op not in TEXT_OPERATORS:
        return None
    try:
        path = attribute_path(attribute, context_kind if isinstance(context_kind, str) else None)
    except ValueError:
        return None
    return path[0] if len(path) == 1 and is_lower_case(path[0], kind) else None


def _rule(rule: Any, kind: str, number: int, remarks: list[Problem]) -> Any:
    clauses = rule.get("clauses") if isinstance(rule, dict) else None
    if not isinstance(clauses, list):
        return rule
    written = [
        _clause(clause, kind, number, position, remarks)
        for position, clause in enumerate(clauses, start=1)
    ]
    return rule if all(map(operator.is_, written, clauses)) else {**rule, "clauses": written}


def _clause(clause: Any, kind: str, number: int, position: int, remarks: list[Problem]) -> Any:
    values = clause.get("values") if isinstance(clause, dict) else None
    if not isinstance(values, list):
        return clause
    name = lower_case_attribute(
        clause.get("attribute"), clause.get("contextKind"), clause.get("op"), kind
    )
    written = [_value(name, value, kind) for value in values]
    for value, form in zip(values, written, strict=True):
        if isinstance(value, str) and name is not None and form != value:
            message = _remark(name, value, form)
            remarks.append(
                Problem(code="stored_form", rule=number, clause=position, message=message)
            )
    return clause if all(map(operator.is_, written, values)) else {**clause, "values": written}


def _value(name: str | None, value: Any, kind: str) -> Any:
    if isinstance(value, str):
        form = value if name is None else stored_form(name, value, kind)
        return value if form == value else form
    # What is no JSON may nest without end. Validation names it.
    return value if json_problem(value) is not None else normalised(value)


def _remark(name: str, value: str, form: str) -> str:
    if form == value.lower():
        text = gettext("%(value)s is saved as %(form)s, since %(name)s is stored in lower case")
    else:
        text = gettext("%(value)s is saved as %(form)s, since a domain has no @")
    return text % {"value": show(value), "form": show(form), "name": name}


def in_tag_form(tags: Any) -> list[str]:
    """Tags as they are stored. Raises ValidationError for what is not a list of tags, and for too many."""
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        raise ValidationError(gettext("Tags are a list of words."))
    found = sorted({tag.strip().lower() for tag in tags} - {""})
    wrong = [tag for tag in found if not _TAG.match(tag)]
    if wrong:
        text = gettext(
            "A tag has letters, digits, dots, dashes and underscores, 64 at most: not “%s”."
        )
        raise ValidationError(text % wrong[0][:80])
    if len(found) > MOST_TAGS:
        raise ValidationError(gettext("A segment has at most %d tags.") % MOST_TAGS)
    return found
