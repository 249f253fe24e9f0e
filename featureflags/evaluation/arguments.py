"""The arguments of the facade's functions, and the errors for calls that cannot be meant."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, TypeAlias, TypedDict, TypeGuard

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.http import HttpRequest

from featureflags.flags.declared import AnyFlag, Flag
from featureflags.kinds.registry import USER, kind_and_text, kind_named, kinds, user_kind
from featureflags.kinds.snapshot import Address

Key: TypeAlias = uuid.UUID | int | str
"""The key of a user, as text or as the column holds it."""
Named: TypeAlias = tuple[str, Key]
"""A row of any kind by its kind and key, such as `("organization", "acme")`."""
Row: TypeAlias = Model | Key | Named
One: TypeAlias = Row | AnonymousUser | None
"""A row of a kind, the key of a user, a kind and key, or nobody."""
Subject: TypeAlias = One | Sequence[One]
"""Whom a flag is asked for: one, or several of different kinds, the main one first."""

FlagKey: TypeAlias = str | AnyFlag
ExtraAttributes: TypeAlias = Mapping[str, object]


class Unset(Enum):
    UNSET = 0


UNSET: Final = Unset.UNSET
"""No default was passed: the declared default is used, else None (False for `is_enabled`)."""


def flag_key(flag: object) -> str:
    """The key of a flag. Raises TypeError for anything but a key or a `Flag`."""
    if isinstance(flag, str | Flag):
        return str(flag)
    raise TypeError(
        f"The flag comes first, and this is a {type(flag).__name__}, not a flag: write "
        'is_enabled("flag-key", user) or is_enabled("flag-key", request=request).'
    )


def canonical_key(key: object) -> str:
    """A user's key as it is written everywhere: a UUID in lower case with dashes.

    Raises TypeError for what is not a key, ValueError for an empty one, and for an e-mail address where
    keys are UUIDs or numbers.
    """
    kind = user_kind()
    if isinstance(key, uuid.UUID) or (type(key) is int and kind.has_integer_keys):
        return str(key)
    if not isinstance(key, str):
        raise TypeError(not_a_user(key))
    if not key:
        raise ValueError("The key of a user must not be empty.")
    known = kind.canonical(key)
    return known if kind.has_text_keys else _no_address(known, "user")


def canonical_address(subject: object) -> Address:
    """The address of a row: a user's key, or a kind and key.

    Raises as `canonical_key`, and ValueError for a kind that no app declares.
    """
    if not isinstance(subject, tuple):
        return canonical_key(subject)
    name, key = subject
    if name == USER:
        return canonical_key(key)
    kind = kind_named(name)
    if kind is None:
        known = ", ".join(each.name for each in kinds())
        raise ValueError(f"There is no kind {name!r}. The kinds are: {known}.")
    if isinstance(key, uuid.UUID) or (type(key) is int and kind.has_integer_keys):
        return name, str(key)
    if not isinstance(key, str):
        raise TypeError(f"The key of a row is text, not a {type(key).__name__}.")
    if not key:
        raise ValueError(f"The key of the kind {name!r} must not be empty.")
    text = kind.canonical(key)
    return name, text if kind.has_text_keys else _no_address(text, f"row of the kind {name!r}")


def is_named(subject: object) -> bool:
    """Whether this is a kind and a key."""
    return (
        type(subject) is tuple
        and len(subject) == 2
        and isinstance(subject[0], str)
        and isinstance(subject[1], uuid.UUID | int | str)
    )


def parse_subject(text: str) -> Key | Named:
    """Whom a text names: `organization:acme` a row of that kind, anything else the key of a user."""
    kind, key = kind_and_text(text)
    return text if key == text else (kind.name, key)


def is_several(subject: object) -> TypeGuard[Sequence[One]]:
    """Whether this is a list of subjects."""
    # By its type: a lazy `request.user` reads the database for its class.
    return issubclass(type(subject), list | tuple) and not is_named(subject)


def visitor_text(key: object) -> str | None:
    """The key of a visitor, as `anonymous_key` names it.

    Raises TypeError for what is not text, ValueError for an e-mail address.
    """
    if key is None:
        return None
    if not isinstance(key, str | uuid.UUID):
        raise TypeError(f"anonymous_key is text, not a {type(key).__name__}.")
    return _no_address(str(key), "visitor")


def _no_address(key: str, whose: str) -> str:
    if "@" in key:
        # The message leaves the text out: it may be an address, and errors are logged.
        raise ValueError(
            f"The key of a {whose} must not contain an @: LaunchDarkly keeps context keys, so an "
            "e-mail address never becomes one. Pass the user, or the primary key of the user."
        )
    return str(key)


def not_a_user(subject: object) -> str:
    if isinstance(subject, HttpRequest) or hasattr(subject, "_request"):
        return 'A request is passed by name: is_enabled("flag-key", request=request).'
    return (
        "The second argument is a user or a row of another kind, the key of a user, a kind and key, a "
        f'list of these, or None, not a {type(subject).__name__}: is_enabled("flag-key", user).'
    )


class Options(TypedDict, total=False):
    """What every function takes by name."""

    attributes: ExtraAttributes | None
    request: HttpRequest | None
    anonymous_key: str | None


class StrictOptions(Options, total=False):
    """What the functions take that answer with a value alone."""

    strict: bool
