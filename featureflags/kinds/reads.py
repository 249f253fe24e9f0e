"""What an expression of a declaration reads: fields of the row itself, by paths, and rows of other tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Field, ForeignKey, GeneratedField, Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Exists, OuterRef, ResolvedOuterRef, Subquery
from django.db.models.sql import Query
from django.db.models.sql.where import WhereNode

from featureflags.kinds.declaration import Kind
from featureflags.kinds.paths import Step, column_of, field_of, split_path, steps_of


def paths_of(source: Any) -> Iterator[str]:
    """The fields and paths of the row that an expression names, also inside its subqueries."""
    for one, is_inside in _parts(source, False):
        if isinstance(one, F) and is_inside is isinstance(one, OuterRef | ResolvedOuterRef):
            yield str(getattr(one, "name", ""))
        elif isinstance(one, Q) and not is_inside:
            yield from (child[0] for child in _leaves(one) if isinstance(child, tuple))


def tables_of(source: Any) -> set[str]:
    """The tables of the subqueries of an expression."""
    found: set[str] = set()
    for one, _ in _parts(source, False):
        if isinstance(one, Query):
            found |= {join.table_name for join in one.alias_map.values()}
            found |= {one.model._meta.db_table} if one.model is not None else set()
    return found


def columns_of(field: Field[Any, Any]) -> Iterator[str]:
    """The column of a field; of a generated one also those that it is computed from.

    A trigger does not see the value of a column that is computed when it is read.
    """
    yield str(field.column)
    if isinstance(field, GeneratedField):
        for path in paths_of(field.expression):  # type: ignore[attr-defined]  # the stubs have none
            yield column_of(field.model, path.split(LOOKUP_SEP)[0])


def read_of(model: type[Model], name: str) -> tuple[list[Step], Field[Any, Any] | None]:
    """The steps to what a name reads, and the field there. Raises TypeError where they lead to many rows.

    Transforms and lookups at its end, such as `__year`, are left out. An annotation has neither.
    """
    parts = name.split(LOOKUP_SEP)
    for number in range(len(parts), 0, -1):
        path = LOOKUP_SEP.join(parts[:number])
        steps, field = _steps_and_field(model, path)
        if any(step.is_many for step in steps):
            raise TypeError(f"{model.__name__}.{path} leads to many rows: use a subquery.")
        if field is not None or steps:
            return steps, field
    return [], None


def refuse_expression(model: type[Model], source: Any) -> None:
    """Raises TypeError or FieldError for an expression that is not one value of a row."""
    for path in paths_of(source):
        read_of(model, path)
    if isinstance(source, Subquery) and not isinstance(source, Exists):
        query = source.query
        if len(query.select) + len(query.annotation_select) != 1:
            raise TypeError("The subquery must select one column, by values().")
    [resolved] = QuerySet(model).annotate(value_of_it=source).query.annotations.values()
    if resolved.contains_aggregate or resolved.contains_over_clause:
        raise TypeError("An aggregate or a window is of many rows: use a subquery.")


def path_of_key(model: type[Model], path: str, other: type[Kind]) -> str:
    """The path to the key of the other kind's row: the foreign key itself, where it holds it."""
    key = field_of(other.model, other.key)
    steps = steps_of(model, path)
    is_many = any(step.is_many for step in steps)  # which is said more clearly elsewhere
    if steps and not is_many and not issubclass(steps[-1].model, other.model):
        raise TypeError(f"{model.__name__}.{path} leads to no {other.model.__name__}.")
    try:
        _, field = split_path(model, path)
    except TypeError:
        field = None  # a one-to-one relation from the other side
    if isinstance(field, ForeignKey) and field.target_field is key:
        return path
    return f"{path}{LOOKUP_SEP}{key.name}"


def _steps_and_field(model: type[Model], path: str) -> tuple[list[Step], Field[Any, Any] | None]:
    try:
        return split_path(model, path)
    except (FieldDoesNotExist, TypeError):
        try:
            return steps_of(model, path), None
        except (FieldDoesNotExist, TypeError):
            return [], None


def _parts(one: Any, is_inside: bool) -> Iterator[tuple[Any, bool]]:
    """The tree of an expression; `is_inside`: within a subquery."""
    yield one, is_inside
    if isinstance(one, Q):
        below = [each[1] if isinstance(each, tuple) else each for each in _leaves(one)]
    elif isinstance(one, Query):
        is_inside = True
        below = [one.where, *one.annotations.values(), *one.combined_queries]
    elif isinstance(one, WhereNode):
        below = list(one.children)
    elif isinstance(one, Subquery | QuerySet):
        below = [one.query]
    else:
        below = one.get_source_expressions() if hasattr(one, "get_source_expressions") else []
    for each in below:
        if each is not None:
            yield from _parts(each, is_inside)


def _leaves(q: Q) -> Iterator[Any]:
    for child in q.children:
        if isinstance(child, Q):
            yield from _leaves(child)
        else:
            yield child
