"""Watches: which table, which of its columns, and whose keys a changed row leads to.

    Watch(
        kind="user",
        table="auth_group", identity=("id",), columns=("name",),
        start="id", path=(Hop(table="users_user_groups", match="group_id", take="user_id"),),
    )

reads: when `name` of a row of `auth_group` changes, each user changes whom `users_user_groups`
links to that row. A watch without a path tells the value of `start` itself. `Watch.own` and
`Watch.of_relation` build the usual ones from Django's model metadata.

The project declares its watches in the list or the function that `FEATUREFLAGS["WATCHES"]` names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.db.models import Field, ManyToManyField, Model, UUIDField
from django.utils.module_loading import import_string

from featureflags.core.conf import app_settings


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

    @classmethod
    def own(cls, kind: str, model: type[Model], fields: Iterable[str], key: str = "pk") -> Watch:
        """The kind's own model: these fields of a row change the entry with its key."""
        key_field = _field(model, key)
        return cls(
            kind=kind,
            table=model._meta.db_table,  # noqa: SLF001 - Django's documented API
            identity=(_column(_field(model, "pk")),),
            columns=tuple(_column(_field(model, name)) for name in fields),
            start=_column(key_field),
            is_uuid=isinstance(key_field, UUIDField),
            is_own=True,
        )

    @classmethod
    def of_relation(
        cls, kind: str, model: type[Model], relation: str, fields: Iterable[str]
    ) -> tuple[Watch, Watch]:
        """A many-to-many relation of the kind's model: its links, and fields of the linked rows.

        For kinds whose key is the primary key. Raises TypeError for another field.
        """
        field = model._meta.get_field(relation)  # noqa: SLF001 - Django's documented API
        if not isinstance(field, ManyToManyField):
            raise TypeError(f"{model.__name__}.{relation} is not a ManyToManyField.")
        linked, through = field.related_model, field.remote_field.through
        if through is None or isinstance(linked, str):
            raise TypeError(f"{model.__name__}.{relation} is not resolved: the apps are not ready.")
        is_uuid = isinstance(_field(model, "pk"), UUIDField)
        here, there = field.m2m_column_name(), field.m2m_reverse_name()
        links = through._meta.db_table  # noqa: SLF001 - Django's documented API
        return (
            cls(
                kind=kind,
                table=links,
                identity=(_column(_field(through, "pk")),),
                columns=(there,),
                start=here,
                is_uuid=is_uuid,
            ),
            cls(
                kind=kind,
                table=linked._meta.db_table,  # noqa: SLF001 - Django's documented API
                identity=(_column(_field(linked, "pk")),),
                columns=tuple(_column(_field(linked, name)) for name in fields),
                start=_column(_field(linked, "pk")),
                path=(Hop(table=links, match=there, take=here),),
                is_uuid=is_uuid,
            ),
        )

    @property
    def needed(self) -> dict[str, frozenset[str]]:
        """The columns that the triggers name, by table."""
        needed: dict[str, frozenset[str]] = {
            self.table: frozenset((*self.identity, self.start, *self.columns))
        }
        for hop in self.path:
            needed[hop.table] = needed.get(hop.table, frozenset()) | {hop.match, hop.take}
        return needed


@cache
def declared_watches() -> tuple[Watch, ...]:
    """The project's watches. Raises ImportError or AttributeError where they cannot be imported."""
    path = app_settings().watches
    if not path:
        return ()
    found: Iterable[Watch] | Callable[[], Iterable[Watch]] = import_string(path)
    return tuple(found() if callable(found) else found)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "FEATUREFLAGS":
        declared_watches.cache_clear()


setting_changed.connect(_forget, dispatch_uid="featureflags.capture.watches")


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    meta = model._meta  # noqa: SLF001 - Django's documented API
    field = meta.pk if name == "pk" else meta.get_field(name)
    if not isinstance(field, Field):
        raise TypeError(f"{model.__name__}.{name} has no column.")
    return field


def _column(field: Field[Any, Any]) -> str:
    column: str | None = field.column
    if column is None:
        raise TypeError(f"{field.model.__name__}.{field.name} has no column.")
    return column
