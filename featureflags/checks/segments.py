"""Checks of the stored segments; only with `manage.py check --database default`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.core.checks import (
    CheckMessage,
    Tags,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import connections

from featureflags.audience.sql.bounds import to_q
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment, segment_graph
from featureflags.models.validation import find_problems
from featureflags.segments.definitions import Problem, SegmentDefinition
from featureflags.segments.parsing import load_rules
from featureflags.segments.ruleset import Ruleset


@register("featureflags", Tags.database)
def check_segments(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W011: a stored segment no longer validates, after the catalogue or the user model changed
    or a write past us.

    Only with `manage.py check --database default`: two queries.
    """
    messages: list[CheckMessage] = []
    for alias in databases or ():
        if Segment._meta.db_table in connections[alias].introspection.table_names():
            messages += _broken_segments(alias)
    return messages


_NO_MATCH = "Until it is mended, nobody is in it by that rule."
_NO_SQL = "Until it is mended, querysets and counts of its members raise an error."


def _broken_segments(alias: str) -> Iterable[CheckMessage]:
    graph = segment_graph()
    for key, rules in Segment.objects.using(alias).values_list("key", "rules"):
        others = {name: names for name, names in graph.items() if name != key}
        for problem in find_problems(key, rules, others) or _without_columns(key, rules):
            yield Warning(
                f"The segment {key!r} no longer validates. {problem}",
                hint=_NO_SQL if problem.code == "sql" else _NO_MATCH,
                id="featureflags.W011",
            )


def _without_columns(key: str, raw_rules: object) -> list[Problem]:
    """Conditions on attributes whose SQL names what the user model does not have (any more)."""
    ruleset = Ruleset([SegmentDefinition(key=key, rules=load_rules(raw_rules)[0])])
    segment = ruleset.segment(key)
    compiler = SegmentCompiler(ruleset, now=0)
    problems = []
    for number, rule in enumerate(segment.rules if segment is not None else (), start=1):
        for position, clause in enumerate(rule.clauses, start=1):
            try:
                bounds = compiler.clause(clause)
                user_kind().rows().filter(to_q(bounds.lower)).filter(to_q(bounds.upper))
            except (FieldDoesNotExist, FieldError) as error:
                message = f"the SQL of {clause.clause.attribute!r} does not fit the model: {error}"
                problems.append(Problem(code="sql", message=message, rule=number, clause=position))
    return problems
