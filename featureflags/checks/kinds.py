"""Checks of the kinds that a project declares in its `kinds.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field
from django.db.models.fields.json import JSONField

from featureflags.contexts.attributes import CUSTOM_PREFIX, RESERVED_NAMES
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, doubles, kinds
from featureflags.kinds.watches import filters_by_others

HINT = "The attribute is left out until then, and its rules match nobody."


@register("featureflags")
def check_kinds(**_: Any) -> list[CheckMessage]:
    """E060: a field of a kind cannot be used. E061: two kinds of one name, or a kind that cannot be
    used at all. E062: a name that is reserved or no name. E063: the kind `user` is of another model than
    those who log in, or its key is not their primary key. E064: a field that the kind's own options name
    does not exist. W065: lists are in the order of a column without an index. W066: the default manager
    leaves rows out by what is in other tables."""
    found: list[CheckMessage] = [
        Error(f"More than one kind is called {name!r}.", id="featureflags.E061")
        for name in doubles()
    ]
    try:
        declared = kinds()
    except (TypeError, FieldDoesNotExist, AttributeError) as error:
        return [*found, Error(f"A kind cannot be used: {error}", id="featureflags.E061")]
    for kind in declared:
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
    yield from _of_user(kind, about)
    yield from _of_options(kind, about)


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


def _of_options(kind: CompiledKind, about: str) -> Iterator[CheckMessage]:
    options = {"title": kind.title, "label": kind.label}
    options |= {"last_seen": kind.last_seen, "created": kind.created}
    named = [*options.items(), *(("search", name) for name in kind.search)]
    fields: dict[str, Field[Any, Any]] = {
        field.name: field for field in kind.model._meta.concrete_fields
    }
    for option, name in named:
        if name is not None and name not in fields:
            why = f"there is no field {name!r}"
            yield Error(f"{about}, {option}: {why}.", id="featureflags.E064")
    for name in kind.declared.listed:
        if name not in {attribute.name for attribute in kind.attributes}:
            yield Error(f"{about}, listed: there is no attribute {name!r}.", id="featureflags.E064")
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


def _has_index(kind: CompiledKind, field: Field[Any, Any]) -> bool:
    if field.unique or getattr(field, "db_index", False):
        return True
    indexes = kind.model._meta.indexes
    return any(index.fields and index.fields[0].lstrip("-") == field.name for index in indexes)
