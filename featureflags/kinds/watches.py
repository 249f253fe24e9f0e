"""Watches: which table, which of its columns, and whose keys a changed row leads to.

    Watch(
        kind="user",
        table="auth_group", identity=("id",), columns=("name",),
        start="id", path=(Hop(table="users_user_groups", match="group_id", take="user_id"),),
    )

reads: when `name` of a row of `auth_group` changes, each user changes whom `users_user_groups`
links to that row. A watch without a path gives the value of `start` itself. They follow from the
paths of a kind's fields (`watches_of_path`), and for an expression from its `WatchRows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Model, UUIDField
from django.db.models.expressions import Col
from django.db.models.sql import Query
from django.db.models.sql.where import WhereNode

from featureflags.kinds.paths import (
    Relation,
    Step,
    column_of,
    column_type,
    field_of,
    identity_of,
    steps_of,
    steps_to_parent,
)
from featureflags.kinds.reads import columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step towards the key: `SELECT take FROM table WHERE match = value`."""

    table: str
    match: str
    take: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Changes of these columns of a table change the entries of a kind."""

    kind: str
    table: str
    identity: tuple[str, ...]
    """The columns of the table's primary key."""
    columns: tuple[str, ...]
    """A change of any of them counts, and so does a change of `start`."""
    start: str
    """The column whose value is the key, or begins the path to it."""
    path: tuple[Hop, ...] = ()
    is_uuid: bool = False
    """Keys are UUIDs. SQLite keeps them as 32 digits, while a key has dashes."""
    is_own: bool = False
    """The table is that of the kind itself: a new row changes no entry that exists."""

    @property
    def needed(self) -> dict[str, frozenset[str]]:
        """The columns that the triggers name, by table."""
        needed: dict[str, frozenset[str]] = {
            self.table: frozenset((*self.identity, self.start, *self.columns))
        }
        for hop in self.path:
            needed[hop.table] = needed.get(hop.table, frozenset()) | {hop.match, hop.take}
        return needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The kind that watches belong to."""

    kind: str
    model: type[Model]
    key: str
    """The name of the key's field, or `pk`."""

    @property
    def key_column(self) -> str:
        return column_of(self.model, self.key)

    @property
    def is_uuid(self) -> bool:
        return isinstance(column_type(field_of(self.model, self.key)), UUIDField)


def filtered_by(model: type[Model]) -> list[tuple[type[Model], str]]:
    """The columns, with their models, by which the default manager leaves rows of the model out.

    Those of the rows themselves and of their parents' tables; for those of other tables see
    `filters_by_others`.
    """
    family = {_concrete(parent) for parent in (model, *model._meta.all_parents)}
    return [
        (owner, column) for owner, column in _filter_columns(model) if column and owner in family
    ]


def filters_by_others(model: type[Model]) -> bool:
    """True if the default manager leaves rows out by what is in other tables."""
    return len(filtered_by(model)) < len(_filter_columns(model))


def _concrete(model: type[Model]) -> type[Model]:
    """The model with the table: of a proxy the one that it stands for."""
    return model._meta.concrete_model or model


def _filter_columns(model: type[Model]) -> list[tuple[type[Model], str]]:
    found: list[tuple[type[Model], str]] = []
    waiting: list[Any] = [model._default_manager.all().query.where]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Col):
            owner = _concrete(one.target.model)
            found += [(owner, column) for column in columns_of(one.target)]
        elif isinstance(one, Query):
            found.append((one.model or model, ""))
        elif isinstance(one, WhereNode):
            waiting += one.children
        elif hasattr(one, "get_source_expressions"):
            waiting += one.get_source_expressions()
    return found


def watch_of_own(owner: Owner, columns: Iterable[str]) -> Watch:
    """The kind's own table: these columns of a row change the entry with its key."""
    return Watch(
        kind=owner.kind,
        table=owner.model._meta.db_table,
        identity=identity_of(owner.model),
        columns=tuple(columns),
        start=owner.key_column,
        is_uuid=owner.is_uuid,
        is_own=True,
    )


def watches_of_path(owner: Owner, steps: Sequence[Step], column: str) -> list[Watch]:
    """The tables behind the steps; `column` is the one that is read at their end.

    Columns of the kind's own table, such as the first foreign key, are left to `watch_of_own`.
    """
    found: list[Watch] = []
    needed = owner.key_column
    hops: tuple[Hop, ...] = ()
    for place, step in enumerate(steps):
        following = steps[place + 1] if place + 1 < len(steps) else None
        read = column if following is None else following.own_column
        start, hops, links = _back(step, needed, hops)
        if links is not None:
            found.append(_watch(owner, links[0], (step.there,), links[1], links[2]))
        columns = () if read is None else (read,)
        # A reverse step watches its foreign key, the start, in any case.
        if columns or step.relation is Relation.REVERSE:
            found.append(_watch(owner, step.model, columns, start, hops))
        needed = start
    return found


def watches_of_rows(
    owner: Owner, model: type[Model], via: str, fields: Iterable[str] = ()
) -> list[Watch]:
    """Rows of `model` that belong to the rows which their path `via` leads to.

    `fields`: those whose change counts; none: each column. Raises TypeError where the path does not
    end at the kind's model.
    """
    if not isinstance(model, type):
        raise TypeError(f"{model!r} is not a model.")
    steps = steps_of(model, via)
    concrete = owner.model._meta.concrete_model
    if not steps or steps[-1].model._meta.concrete_model is not concrete:
        raise TypeError(f"{model.__name__}.{via} does not lead to {owner.model.__name__}.")
    names = (fields,) if isinstance(fields, str) else fields
    read = [field_of(model, name) for name in names] or list(model._meta.concrete_fields)
    back = [step.reversed() for step in reversed(steps)]
    found = watches_of_path(owner, back, identity_of(model)[0])
    columns: list[str] = []
    behind: list[Watch] = []
    for field in read:
        to_parent = steps_to_parent(model, field.model)
        if to_parent:
            behind += watches_of_path(owner, [*back, *to_parent], str(field.column))[len(found) :]
        else:
            columns += columns_of(field)
    # The rows themselves come last.
    return [*found[:-1], replace(found[-1], columns=tuple(columns)), *behind]


def _back(
    step: Step, needed: str, hops: tuple[Hop, ...]
) -> tuple[str, tuple[Hop, ...], tuple[type[Model], str, tuple[Hop, ...]] | None]:
    """From a row behind a step to the key: the column where it starts, the hops, and the links.

    `needed` and `hops` say the same of the row before the step.
    """
    before = step.origin._meta.db_table

    def onward(column: str) -> tuple[Hop, ...]:
        """From a value of this column of the row before."""
        if column == needed:
            return hops
        return (Hop(table=before, match=column, take=needed), *hops)

    if step.relation is Relation.FORWARD:
        return step.there, (Hop(table=before, match=step.here, take=needed), *hops), None
    if step.relation is Relation.REVERSE:
        return step.there, onward(step.here), None
    through = step.through
    assert through is not None  # noqa: S101 - a many-to-many step has one
    table = through._meta.db_table
    on = onward(step.here)
    end = Hop(table=table, match=step.there, take=step.link)
    return step.target, (end, *on), (through, step.link, on)


def _watch(
    owner: Owner, model: type[Model], columns: tuple[str, ...], start: str, hops: tuple[Hop, ...]
) -> Watch:
    return Watch(
        kind=owner.kind,
        table=model._meta.db_table,
        identity=identity_of(model),
        columns=columns,
        start=start,
        path=hops,
        is_uuid=owner.is_uuid,
    )


def merged(watches: Iterable[Watch]) -> tuple[Watch, ...]:
    """One watch for each table and path, with the columns of all."""
    found: dict[tuple[object, ...], Watch] = {}
    for watch in watches:
        place = (watch.kind, watch.table, watch.start, watch.path, watch.is_own)
        known = found.get(place)
        if known is None:
            found[place] = watch
        else:
            columns = tuple(dict.fromkeys((*known.columns, *watch.columns)))
            found[place] = replace(known, columns=columns)
    return tuple(found.values())
