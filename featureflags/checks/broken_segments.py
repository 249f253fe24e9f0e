"""Stored segments that no longer validate. Imported by `manage.py check --database`, and by no start."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import (
    CheckMessage,
    Warning,  # noqa: A004 - Django's name
)
from django.core.exceptions import FieldDoesNotExist, FieldError

from featureflags.audience.sql.bounds import to_q
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named, kinds
from featureflags.models import Segment, segment_graph
from featureflags.models.validation import find_problems
from featureflags.segments.definitions import Problem, SegmentDefinition
from featureflags.segments.parsing import load_rules
from featureflags.segments.ruleset import Ruleset

_NO_MATCH = "Until it is mended, nobody is in it by that rule."
_NO_SQL = "Until it is mended, querysets and counts of its members raise an error."


def broken_segments(alias: str) -> Iterable[CheckMessage]:
    """A warning for each problem of the rows in this database."""
    graphs = {kind.name: segment_graph(kind=kind.name) for kind in kinds()}
    rows = Segment.objects.using(alias).values_list("key", "rules", "kind")
    for key, rules, name in rows:
        kind = kind_named(name)
        if kind is None:
            yield Warning(
                f"The segment {key!r} is of the kind {name!r}, which no app declares.",
                hint="Nobody is in it. Declare the kind in a `kinds.py`, or delete the segment.",
                id="featureflags.W011",
            )
            continue
        others = {other: names for other, names in graphs[name].items() if other != key}
        problems = find_problems(key, rules, others, name) or _without_columns(key, rules, kind)
        for problem in problems:
            yield Warning(
                f"The segment {key!r} no longer validates. {problem}",
                hint=_NO_SQL if problem.code == "sql" else _NO_MATCH,
                id="featureflags.W011",
            )


def _without_columns(key: str, raw_rules: object, kind: CompiledKind) -> list[Problem]:
    """Conditions on attributes whose SQL names what the kind's model does not have (any more)."""
    rules = load_rules(raw_rules, kind.name)[0]
    ruleset = Ruleset([SegmentDefinition(key=key, kind=kind.name, rules=rules)])
    segment = ruleset.segment(key)
    compiler = SegmentCompiler(ruleset, now=0)
    problems = []
    for number, rule in enumerate(segment.rules if segment is not None else (), start=1):
        for position, clause in enumerate(rule.clauses, start=1):
            try:
                bounds = compiler.clause(clause, kind)
                kind.rows().filter(to_q(bounds.lower)).filter(to_q(bounds.upper))
            except (FieldDoesNotExist, FieldError) as error:
                message = f"the SQL of {clause.clause.attribute!r} does not fit the model: {error}"
                problems.append(Problem(code="sql", message=message, rule=number, clause=position))
    return problems
