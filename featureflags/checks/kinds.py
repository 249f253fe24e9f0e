"""Checks of the kinds that a project declares in its `kinds.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.db.models import BinaryField, DateTimeField, Field, Q, QuerySet
from django.db.models.fields.json import JSONField

from featureflags.capture.watches import declared_watches
from featureflags.contexts.attributes import CUSTOM_PREFIX, RESERVED_NAMES
from featureflags.kinds.compiled import WRONG, CompiledKind
from featureflags.kinds.declaration import Declared, Kind
from featureflags.kinds.reads import tables_of
from featureflags.kinds.registry import USER, doubles, kinds, unusable
from featureflags.kinds.watches import filters_by_others
from featureflags.segments.attribute_types import AttributeType

HINT = "The attribute is left out until then, and its rules match nobody."


@register("featureflags")
def check_kinds(**_: Any) -> list[CheckMessage]:
    """E060: a field of a kind cannot be used. E061: two kinds of one name, or a kind that cannot be
    used at all. E062: a name that is reserved or no name. E063: the kind `user` is of another model than
    those who log in, or its key is not their primary key. E064: a field that the kind's own options name
    does not exist, or a `verified_by`. W065: lists are in the order of a column without an index. W066: the default manager
    leaves rows out by what is in other tables. W067: an expression reads rows that nothing watches."""
    found: list[CheckMessage] = [
        Error(f"More than one kind is called {name!r}.", id="featureflags.E061")
        for name in doubles()
    ]
    found += [
        Error(
            f"The kind {name!r} cannot be used: {why}.",
            hint="It is left out until then.",
            id="featureflags.E061",
        )
        for name, why in unusable().items()
    ]
    for kind in kinds():
        found += _of_kind(kind)
    return found


def _of_kind(kind: CompiledKind) -> Iterator[CheckMessage]:
    about = f"The kind {kind.name!r}"
    for name, why in kind.problems:
        yield Error(f"{about}, {name}: {why}", hint=HINT, id="featureflags.E060")
    for name in kind.declared.declared:
        if name in RESERVED_NAMES | {"key"} or name.startswith(CUSTOM_PREFIX):
            yield Error(f"{about}, {name}: the name means something else.", id="featureflags.E062")
        elif not name.isidentifier() or name != name.lower():
            why = "use small letters, digits and underscores."
            yield Error(f"{about}, {name}: {why}", id="featureflags.E062")
    for name, tables in _unwatched(kind):
        yield Warning(
            f"{about}, {name}: it reads {', '.join(sorted(tables))}, which no watch names: a change there is "
            "not noticed for up to a day.",
            hint="Add watch=WatchRows(model, path to the row).",
            id="featureflags.W067",
        )
    yield from _of_class(kind, about)
    yield from _of_user(kind, about)
    yield from _of_options(kind, about)


def _unwatched(kind: CompiledKind) -> Iterator[tuple[str, set[str]]]:
    """The expressions that read tables whose changes nothing notices."""
    watches = (watch for watch in declared_watches() if watch.kind == kind.name)
    watched = {watch.table for watch in watches} | {kind.model._meta.db_table}
    for name, declared in kind.declared.declared.items():
        tables = set() if isinstance(declared.source, str) else tables_of(declared.source)
        if not declared.watch and (unwatched := tables - watched):
            yield name, unwatched


def _of_class(kind: CompiledKind, about: str) -> Iterator[CheckMessage]:
    """What the class body holds and means nothing."""
    known = {name for base in Kind.__mro__ for name in vars(base)} | set(Kind.__annotations__)
    for base in kind.declared.__mro__:
        for name, value in vars(base).items() if issubclass(base, Kind) else ():
            is_ours = isinstance(value, Declared) or name in known or name.startswith("_")
            if isinstance(value, type) and issubclass(value, Declared):
                why = f"write {value.__name__}(…), with a source."
            elif is_ours or name.isupper() or callable(value) or hasattr(value, "__get__"):
                continue
            else:
                why = "it is neither an attribute nor an option."
            yield Error(f"{about}, {name}: {why}", id="featureflags.E064")


def _of_user(kind: CompiledKind, about: str) -> Iterator[CheckMessage]:
    if kind.name != USER:
        return
    if kind.model is not get_user_model():
        yield Error(
            f"{about} is of {kind.model.__name__}, and AUTH_USER_MODEL is {settings.AUTH_USER_MODEL}: who "
            "logs in would be a visitor.",
            id="featureflags.E063",
        )
    elif kind.key_attribute != kind.model._meta.pk.attname:
        yield Error(
            f"{about} has the key {kind.key!r}: members by name and sessions hold the primary key.",
            id="featureflags.E063",
        )


def _of_named(
    kind: CompiledKind,
    about: str,
    named: Iterable[tuple[str, str | None]],
    fields: Mapping[str, Field[Any, Any]],
) -> Iterator[CheckMessage]:
    """The options that name fields, and the condition of the active rows."""
    for option in ("search", "listed"):
        if isinstance(getattr(kind.declared, option), str):
            yield Error(f"{about}, {option}: write a tuple of names.", id="featureflags.E064")
            return
    for option, name in named:
        if name is None:
            continue
        if name not in fields:
            yield Error(f"{about}, {option}: there is no field {name!r}.", id="featureflags.E064")
        elif not _suits(option, fields[name]):
            why = f"{name} is a {type(fields[name]).__name__}"
            yield Error(f"{about}, {option}: {why}.", id="featureflags.E064")
    try:
        QuerySet(kind.model).filter(kind.active or Q())
    except WRONG as error:
        yield Error(f"{about}, active: {error}", id="featureflags.E064")


def _of_options(kind: CompiledKind, about: str) -> Iterator[CheckMessage]:
    options = {"title": kind.declared.title, "label": kind.label}
    options |= {"last_seen": kind.last_seen, "created": kind.created}
    named = [*options.items(), *(("search", name) for name in kind.search)]
    fields: dict[str, Field[Any, Any]] = {
        field.name: field for field in kind.model._meta.concrete_fields
    }
    yield from _of_named(kind, about, named, fields)
    listed = kind.declared.listed
    for name in () if isinstance(listed, str) else listed:
        if name not in {attribute.name for attribute in kind.attributes}:
            yield Error(f"{about}, listed: there is no attribute {name!r}.", id="featureflags.E064")
    yield from _of_proofs(kind, about)
    if filters_by_others(kind.model):
        yield Warning(
            f"{about}: the default manager of {kind.model.__name__} leaves rows out by other tables, whose "
            "changes are not noticed by that.",
            hint="Name these tables by a `watch` of an attribute, or give the model a plain default manager.",
            id="featureflags.W066",
        )
    title = fields.get(kind.title)
    if title is not None and not isinstance(title, JSONField) and not _has_index(kind, title):
        yield Warning(
            f"{about}, title: {kind.title} has no index, and pages of members are in its order.",
            hint="With more than some thousand rows, give the field unique=True or db_index=True.",
            id="featureflags.W065",
        )


def _of_proofs(kind: CompiledKind, about: str) -> Iterator[CheckMessage]:
    """Each `verified_by` names an attribute that is true or false."""
    types = {attribute.name: attribute.type for attribute in kind.attributes}
    for name, declared in kind.declared.declared.items():
        proof = declared.verified_by
        if proof is not None and types.get(proof) is not AttributeType.BOOLEAN:
            why = f"verified_by: {proof!r} is not a Boolean of this kind."
            yield Error(f"{about}, {name}, {why}", id="featureflags.E064")


def _suits(option: str, field: Field[Any, Any]) -> bool:
    """Whether the field can be what the option says: an instant, or something to read and to find."""
    if option in {"last_seen", "created"}:
        return isinstance(field, DateTimeField)
    return not field.is_relation and not isinstance(field, JSONField | BinaryField)


def _has_index(kind: CompiledKind, field: Field[Any, Any]) -> bool:
    if field.unique or getattr(field, "db_index", False):
        return True
    indexes = kind.model._meta.indexes
    return any(index.fields and index.fields[0].lstrip("-") == field.name for index in indexes)
