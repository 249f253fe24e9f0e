"""The kinds that the installed apps declare in their `kinds.py`; without one, a kind of the user model."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Hashable
from functools import cache
from typing import Any, cast

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.signals import setting_changed
from django.db.models import Q
from django.utils.module_loading import module_has_submodule

from featureflags.kinds.compiled import WRONG, CompiledKind
from featureflags.kinds.declaration import (
    Boolean,
    DaysSince,
    Declared,
    Domain,
    Instant,
    Kind,
    Many,
    Text,
)
from featureflags.kinds.snapshot import USER, declared_kinds, fingerprint_of

logger = logging.getLogger(__name__)

__all__ = [
    "USER",
    "fingerprint",
    "kind_and_text",
    "kind_named",
    "kind_of_model",
    "kind_of_row",
    "kind_or_user",
    "kinds",
    "unusable",
    "user_kind",
]


@cache
def user_kind() -> CompiledKind:
    """The kind `user`: whom a request, a session and a segment speak of."""
    return _kinds()[USER]


def kind_named(name: str) -> CompiledKind | None:
    """The kind of this name; None: no app declares it."""
    return _kinds().get(name)


def kind_or_user(name: str) -> CompiledKind:
    """The kind of this name; `user` where no app declares it."""
    return kind_named(name) or user_kind()


def kind_and_text(text: str) -> tuple[CompiledKind, str]:
    """The kind that a text names, as `organization:acme` does, and the rest; else `user` and the text."""
    name, colon, rest = text.partition(":")
    kind = kind_named(name) if colon else None
    return (user_kind(), text) if kind is None else (kind, rest)


def kind_of_row(row: object) -> CompiledKind | None:
    """The kind whose model this is a row of, `user` first of equals; None: of none. A lazy row is read."""
    return kind_of_model(cast("Hashable", row.__class__))


@cache
def kind_of_model(model: Any) -> CompiledKind | None:
    """The kind of this model, or of the nearest that it extends; None: of none."""
    above = getattr(model, "__mro__", ())
    found = [kind for kind in kinds() if kind.model in above]
    return min(found, key=lambda kind: above.index(kind.model), default=None)


def kinds() -> tuple[CompiledKind, ...]:
    """All kinds, `user` first."""
    return tuple(_kinds().values())


def fingerprint() -> str:
    """A few characters that change with the fields of any kind."""
    first, *others = kinds()
    if not others:
        return first.fingerprint
    return fingerprint_of((kind.name, kind.fingerprint) for kind in (first, *others))


def doubles() -> tuple[str, ...]:
    """Names that more than one class declares."""
    names = [declared.name for declared in declared_classes()]
    return tuple(sorted({name for name in names if names.count(name) > 1}))


def unusable() -> dict[str, str]:
    """What is wrong with the kinds that cannot be used at all, by name."""
    return _compiled()[1]


def _kinds() -> dict[str, CompiledKind]:
    return _compiled()[0]


@cache
def _compiled() -> tuple[dict[str, CompiledKind], dict[str, str]]:
    """The kinds that can be used, and what is wrong with the others, which are left out.

    In the place of a kind `user` that cannot be used is one with nothing but keys: a page that asks for a
    flag must not fail, and must not send more than was declared.
    """
    found = {declared.name: declared for declared in declared_classes()}
    first = found.pop(USER, None) or default_kind()
    ordered, problems = {USER: first, **found}, dict[str, str]()
    compiled: dict[str, CompiledKind] = {}
    for name, each in list(ordered.items()):
        try:
            compiled[name] = CompiledKind(each, ordered)
        except WRONG as error:
            problems[str(name)] = str(error).rstrip(".")
            logger.warning("The kind %r cannot be used and is left out: %s", name, error)
            del ordered[name]
    if not problems:
        declared_kinds.update(ordered)
        return compiled, problems
    bare = type("BareUserKind", (Kind,), {"name": USER, "model": get_user_model()})
    ordered = {USER: ordered.pop(USER, bare), **ordered}
    declared_kinds.update(ordered)
    return {name: CompiledKind(each, ordered) for name, each in ordered.items()}, problems


def declared_classes() -> tuple[type[Kind], ...]:
    """The classes of `kinds.py` of each installed app, in the order of the apps."""
    return _declared()


@cache
def _declared() -> tuple[type[Kind], ...]:
    found: list[type[Kind]] = []
    for config in apps.get_app_configs():
        if config.name == "featureflags" or not module_has_submodule(config.module, "kinds"):
            continue
        module = importlib.import_module(f"{config.name}.kinds")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Kind)
            and value.__module__ == module.__name__
            and "name" in vars(value)
        ]
    return tuple(found)


def default_kind() -> type[Kind]:
    """A kind of the project's user model, with the fields of Django's own user that it has."""
    model: Any = get_user_model()
    meta = model._meta
    names = {field.name for field in meta.get_fields()}
    known: dict[str, Declared] = {
        "username": Text("username", private=True),
        "email": Text("email", private=True, user_writable=True),
        "email_domain": Domain("email", user_writable=True),
        "is_staff": Boolean("is_staff"),
        "is_superuser": Boolean("is_superuser"),
        "groups": Many("groups__name"),
        "created_at": Instant("date_joined"),
        "account_age_days": DaysSince("date_joined"),
        "last_login": Instant("last_login"),
        "days_since_last_login": DaysSince("last_login"),
    }
    fields = {
        name: declared
        for name, declared in known.items()
        if str(declared.source).split("__")[0] in names
    }
    search = [name for name in (meta.model.USERNAME_FIELD, "email") if name in names]
    body = {
        "name": USER,
        "model": model,
        "title": meta.model.USERNAME_FIELD,
        "search": tuple(dict.fromkeys(search)),
        "active": Q(is_active=True) if "is_active" in names else None,
        "last_seen": "last_login" if "last_login" in names else None,
        "created": "date_joined" if "date_joined" in names else None,
        **fields,
    }
    return type("DefaultUserKind", (Kind,), body)


def forget(*, setting: str = "AUTH_USER_MODEL", **_: Any) -> None:
    """Read the declarations again when they are needed next."""
    if setting in {"AUTH_USER_MODEL", "INSTALLED_APPS"}:
        user_kind.cache_clear()
        _compiled.cache_clear()
        declared_kinds.intersection_update({USER})
        kind_of_model.cache_clear()
        _declared.cache_clear()


setting_changed.connect(forget, dispatch_uid="featureflags.kinds.registry")
