"""The arguments of the facade's functions, and the errors for calls that cannot be meant."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias, TypedDict

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.http import HttpRequest

from featureflags.flags.declared import AnyFlag, Flag
from featureflags.kinds.registry import user_kind

Key: TypeAlias = uuid.UUID | int | str
"""The key of a user, as text or as the column holds it."""
Subject: TypeAlias = Model | AnonymousUser | Key | None
"""Whom a flag is asked for: a row of the kind `user`, the key of one, or nobody."""

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
        "The second argument is a user, the key of a user, or None, not a "
        f'{type(subject).__name__}: is_enabled("flag-key", user).'
    )


class Options(TypedDict, total=False):
    """What every function takes by name."""

    attributes: ExtraAttributes | None
    request: HttpRequest | None
    anonymous_key: str | None


class StrictOptions(Options, total=False):
    """What the functions take that answer with a value alone."""

    strict: bool
