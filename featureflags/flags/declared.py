"""Flags that the project declares in one place: a misspelt key fails a check, not a customer."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Generic, NamedTuple, TypeAlias, cast

from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from typing_extensions import TypeVar

from featureflags.core.conf import app_settings
from featureflags.core.types import JSONValue
from featureflags.flags.value_types import MISMATCH, in_type_of

logger = logging.getLogger(__name__)

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
    """The declared flags by key. Those that cannot be used are left out: see `flag_problems`."""
    return _read_flags().flags


def flag_problems() -> tuple[str, ...]:
    """Why `FEATUREFLAGS["FLAGS"]`, or a flag in it, cannot be used, one sentence each."""
    return _read_flags().problems


class _Declared(NamedTuple):
    flags: Mapping[str, Flag]
    problems: tuple[str, ...]


@cache
def _read_flags() -> _Declared:
    path = app_settings().flags
    flags: dict[str, Flag] = {}
    problems: list[str] = []
    for flag in _listed(path, problems) if path else ():
        why = _refusal(flag, flags)
        if why is None:
            flags[flag.key] = flag
        else:
            problems.append(f"{path} {why}")
    for problem in problems:
        logger.error("FEATUREFLAGS['FLAGS']: %s", problem)
    return _Declared(flags, tuple(problems))


def _listed(path: str, problems: list[str]) -> list[Any]:
    try:
        return list(import_string(path))
    except Exception as error:  # noqa: BLE001 - a project's module may raise anything
        problems.append(f"{path} cannot be read: {error}")
        return []


def _refusal(flag: object, known: Mapping[str, Flag]) -> str | None:
    if not isinstance(flag, Flag):
        return f"contains {flag!r}, which is not a Flag."
    key, kind = cast("tuple[object, object]", (flag.key, flag.type))
    if not isinstance(key, str) or not isinstance(kind, FlagType):
        return f"declares {flag.key!r} without a text as its key or a FlagType as its type."
    if flag.key in known:
        return f"declares the flag {flag.key!r} twice."
    if not flag.type.holds(flag.default):
        return f"declares {flag.key!r} with a default that is not a {flag.type.value}."
    return None


def _forget_flags(*, setting: str, **_kwargs: object) -> None:
    if setting == "FEATUREFLAGS":
        declared_flags.cache_clear()
        _read_flags.cache_clear()


setting_changed.connect(_forget_flags, dispatch_uid="featureflags.flags.declared")
