"""Django's double-underscore paths, step by step, in both directions.

    steps_of(User, "profile__company")     [User → Profile (reverse), Profile → Company (forward)]

A step knows the columns on both sides, so that the triggers can follow it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from django.db.models import Field, ForeignKey, ManyToManyField, ManyToManyRel, ManyToOneRel, Model
from django.db.models.constants import LOOKUP_SEP

NO_WAY: Final = (
    "leads to no other row: a path goes through foreign keys, one-to-one and many-to-many relations"
)


class Relation(StrEnum):
    """Which side holds the link."""

    FORWARD = "forward"
    """A foreign key of the row before."""
    REVERSE = "reverse"
    """A foreign key of the row behind."""
    MANY = "many"
    """A table of links between the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From a row of `origin` to the rows of `model`, by columns."""

    name: str
    """As a query names it."""
    accessor: str
    """As a row of `origin` names it."""
    reverse_name: str | None
    """As a query names the way back; None: there is none."""
    relation: Relation
    is_many: bool
    """More than one row may be behind it."""
    origin: type[Model]
    model: type[Model]
    here: str
    """FORWARD: the foreign key of `origin`; else the column of `origin` that the link points to."""
    there: str
    """FORWARD: the column of `model` that is pointed to; REVERSE: the foreign key of `model`; MANY:
    the column of the links that points to `model`."""
    link: str = ""
    """MANY: the column of the links that points to `origin`."""
    target: str = ""
    """MANY: the column of `model` that the links point to."""
    through: type[Model] | None = None
    is_parent: bool = False
    """To the parent's row of the same object (multi-table inheritance): no name of a path stands for it."""

    @property
    def own_column(self) -> str | None:
        """The column of `origin` whose change leads to other rows; None: another table has it."""
        return self.here if self.relation is Relation.FORWARD else None

    def reversed(self) -> Step:
        """The same step from the other side."""
        if self.relation is Relation.MANY:
            turned = Relation.MANY
            here, there, link, target = self.target, self.link, self.there, self.here
        else:
            is_forward = self.relation is Relation.FORWARD
            turned = Relation.REVERSE if is_forward else Relation.FORWARD
            here, there, link, target = self.there, self.here, "", ""
        return Step(
            name=self.reverse_name or "",
            accessor="",
            reverse_name=self.name,
            relation=turned,
            is_many=True,
            origin=self.model,
            model=self.origin,
            here=here,
            there=there,
            link=link,
            target=target,
            through=self.through,
        )


def field_of(model: type[Model], name: str) -> Field[Any, Any]:
    """A field with a column, of the model or a parent. Raises FieldDoesNotExist, or TypeError without a column."""
    meta = model._meta
    field = meta.pk if name == "pk" else meta.get_field(name)
    if not isinstance(field, Field) or field.column is None or field.many_to_many:
        raise TypeError(f"{model.__name__}.{name} has no column.")
    return field


def named(field: object) -> str:
    """The type of a field, for people: `a CharField`, `an ArrayField`."""
    name = type(field).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def column_of(model: type[Model], name: str) -> str:
    """The column of a field; see `field_of`."""
    return str(field_of(model, name).column)


def identity_of(model: type[Model]) -> tuple[str, ...]:
    """The columns of the primary key: more than one where it is composite."""
    return tuple(str(field.column) for field in model._meta.pk_fields)


def column_type(field: Field[Any, Any]) -> Field[Any, Any]:
    """The field whose values the column holds: of a foreign key the one that it points to."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field


def steps_of(model: type[Model], path: str) -> list[Step]:
    """The steps of a path that consists of relations alone. Raises FieldDoesNotExist or TypeError."""
    steps: list[Step] = []
    for name in path.split(LOOKUP_SEP) if path else ():
        steps += steps_to_parent(model, model._meta.get_field(name).model)
        step = _step(model, name)
        steps.append(step)
        model = step.model
    return steps


def split_path(model: type[Model], path: str) -> tuple[list[Step], Field[Any, Any]]:
    """The steps of a path, and the field with a column at its end.

    Raises FieldDoesNotExist for a name that does not exist, TypeError for one of another sort.
    """
    *relations, last = path.split(LOOKUP_SEP)
    steps = steps_of(model, LOOKUP_SEP.join(relations))
    end = steps[-1].model if steps else model
    field = field_of(end, last)
    return [*steps, *steps_to_parent(end, field.model)], field


def reverse_path(steps: Sequence[Step]) -> str:
    """The query path from the last row back to the key of the first. Raises TypeError where there is none."""
    names: list[str] = []
    for step in reversed(steps):
        if step.reverse_name is None:
            why = "has no name for the way back: give it a related_name"
            raise TypeError(f"{step.origin.__name__}.{step.name} {why}.")
        names.append(step.reverse_name)
    # By name: a foreign key may point to another unique column than the key.
    return LOOKUP_SEP.join((*names, "pk"))


def steps_to_parent(model: type[Model], parent: type[Model]) -> list[Step]:
    """The steps to the table of a model that this one extends; none where both have one table."""
    steps: list[Step] = []
    owner: Any = parent._meta.concrete_model
    while (here := model._meta.concrete_model) is not owner:
        link = here._meta.get_ancestor_link(owner) if here is not None else None
        if link is None:
            raise TypeError(f"{model.__name__} does not extend {parent.__name__}.")
        step = replace(_of_foreign_key(link, link.name), is_parent=True)
        steps.append(step)
        model = step.model
    return steps


def _step(model: type[Model], name: str) -> Step:
    field: Any = model._meta.get_field(name)
    if isinstance(field, ForeignKey):
        return _of_foreign_key(field, name)
    if isinstance(field, ManyToManyField):
        return _of_many(field, name)
    if isinstance(field, ManyToManyRel):
        forward = _of_many(field.field, field.field.name)
        return replace(forward.reversed(), name=name, accessor=str(field.get_accessor_name()))
    if isinstance(field, ManyToOneRel):  # OneToOneRel is one
        forward = _of_foreign_key(field.field, field.field.name)
        return replace(
            forward.reversed(),
            name=name,
            accessor=str(field.get_accessor_name()),
            is_many=not field.one_to_one,
        )
    raise TypeError(f"{model.__name__}.{name} is {named(field)}, which {NO_WAY}.")


def _of_foreign_key(field: ForeignKey[Any, Any], name: str) -> Step:
    target = field.target_field
    return Step(
        name=name,
        accessor=name,
        reverse_name=_way_back(field),
        relation=Relation.FORWARD,
        is_many=False,
        origin=field.model,
        model=_model(field),
        here=str(field.column),
        there=str(target.column),
    )


def _of_many(field: ManyToManyField[Any, Any], name: str) -> Step:
    through = field.remote_field.through
    if through is None or isinstance(through, str):
        raise TypeError(f"{field.model.__name__}.{name} is not resolved: the apps are not ready.")
    return Step(
        name=name,
        accessor=name,
        reverse_name=_way_back(field),
        relation=Relation.MANY,
        is_many=True,
        origin=field.model,
        model=_model(field),
        # Links may point to another unique column than the key.
        here=column_of(field.model, field.m2m_target_field_name()),
        there=field.m2m_reverse_name(),
        link=field.m2m_column_name(),
        target=column_of(_model(field), field.m2m_reverse_target_field_name()),
        through=through,
    )


def _way_back(field: ForeignKey[Any, Any] | ManyToManyField[Any, Any]) -> str | None:
    if getattr(field.remote_field, "symmetrical", False):
        return field.name
    return None if field.remote_field.hidden else field.related_query_name()


def _model(field: ForeignKey[Any, Any] | ManyToManyField[Any, Any]) -> type[Model]:
    model: Any = field.related_model
    if isinstance(model, str):
        raise TypeError(f"{field.model.__name__}.{field.name} is not resolved.")
    found: type[Model] = model
    return found
