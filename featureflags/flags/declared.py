"""Flags that the project declares in one place: a misspelt key fails a check, not a customer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Generic, TypeAlias

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from typing_extensions import TypeVar

from featureflags.core.conf import app_settings
from featureflags.core.types import JSONValue
from featureflags.flags.value_types import MISMATCH, in_type_of

ValueT_co = TypeVar("ValueT_co", covariant=True, default=JSONValue)


class FlagType(StrEnum):
    """LaunchDarkly's four kinds of values."""

    BOOLEAN = "boolean"
    STRING = "string"
    NUMBER = "number"
    JSON = "json"

    def holds(self, value: object) -> bool:
        """Whether a value has this type. True is not a number; numbers are finite."""
        if self is FlagType.BOOLEAN:
            return isinstance(value, bool)
        if self is FlagType.STRING:
            return isinstance(value, str)
        if self is FlagType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return isinstance(value, int) or math.isfinite(value)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Generic[ValueT_co]):
    """What this project expects of a flag.

    A declared flag brings its type with it: `variation(ACCENT, user)` of a `Flag[str]` is a `str`.
    """

    key: str
    type: FlagType
    default: ValueT_co
    """The answer when LaunchDarkly has none. Its type is the type of every answer: write 10.0 for
    a number that may have decimals. A list, a dict or None allows any JSON."""
    description: str
    owner: str
    """Who to ask: a team or a person."""
    client_side: bool = False
    """Whether browsers may see its value for their own user, through the API."""

    def __str__(self) -> str:
        return self.key

    def holds(self, value: JSONValue) -> bool:
        """Whether `value` may be an answer of this flag: see `default`."""
        return self.type.holds(value) and in_type_of(self.default, value) is not MISMATCH


AnyFlag: TypeAlias = Flag[object]
"""A declared flag of any type."""


@cache
def declared_flags() -> Mapping[str, Flag]:
    """The declared flags by key. Raises ImproperlyConfigured for a list that is not valid."""
    path = app_settings().flags
    if not path:
        return {}
    flags: dict[str, Flag] = {}
    for flag in import_string(path):
        if not isinstance(flag, Flag):
            raise ImproperlyConfigured(f"{path} contains {flag!r}, which is not a Flag.")
        if flag.key in flags:
            raise ImproperlyConfigured(f"{path} declares the flag {flag.key!r} twice.")
        if not flag.type.holds(flag.default):
            raise ImproperlyConfigured(
                f"{path}: the default of {flag.key!r} is not a {flag.type.value}: {flag.default!r}."
            )
        flags[flag.key] = flag
    return flags


def _forget_flags(*, setting: str, **_kwargs: object) -> None:
    if setting == "FEATUREFLAGS":
        declared_flags.cache_clear()


setting_changed.connect(_forget_flags, dispatch_uid="featureflags.flags.declared")
