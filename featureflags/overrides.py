"""Values that come before LaunchDarkly's: `override_flag` in tests, `FORCE_FLAG_…` in the environment."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, TypeVar, cast

from featureflags.flags import Flag
from featureflags.types import JSONValue

logger = logging.getLogger(__name__)

FORCE_PREFIX = "FORCE_FLAG_"
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_overrides: ContextVar[Mapping[str, JSONValue]] = ContextVar(
    "featureflags_overrides", default=MappingProxyType({})
)


class override_flag(ContextDecorator):  # noqa: N801 - a context manager reads as a verb
    """Answer `flag` with `value` in this thread or task: a context manager and a decorator.

    Works on sync and async functions, nested (the inner one wins) and on methods. New threads do
    not see it, since they start with a context of their own.
    """

    def __init__(self, flag: str | Flag, value: JSONValue = True) -> None:
        self.flag = str(flag)
        self.value = value
        self._tokens: list[Token[Mapping[str, JSONValue]]] = []

    def __enter__(self) -> override_flag:
        changed = {**_overrides.get(), self.flag: self.value}
        self._tokens.append(_overrides.set(MappingProxyType(changed)))
        return self

    def __exit__(self, *_exception: object) -> None:
        _overrides.reset(self._tokens.pop())

    async def __aenter__(self) -> override_flag:
        return self.__enter__()

    async def __aexit__(self, *exception: object) -> None:
        self.__exit__(*exception)

    def __call__(self, function: FunctionT) -> FunctionT:
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def overridden_async(*args: Any, **kwargs: Any) -> Any:
                with override_flag(self.flag, self.value):
                    return await function(*args, **kwargs)

            return cast("FunctionT", overridden_async)

        @functools.wraps(function)
        def overridden(*args: Any, **kwargs: Any) -> Any:
            with override_flag(self.flag, self.value):
                return function(*args, **kwargs)

        return cast("FunctionT", overridden)


def overridden_flags() -> Mapping[str, JSONValue]:
    """The values that `override_flag` sets here, by flag key."""
    return _overrides.get()


@functools.cache
def forced_flags() -> Mapping[str, bool]:
    """What the environment forces, by the flag's name in capitals. Read once in a process.

    A value that is neither true nor false forces nothing; a system check names it.
    """
    forced, unreadable = read_forced(os.environ)
    for name in unreadable:
        logger.warning("%s is neither true nor false: it forces nothing.", name)
    return forced


def read_forced(environment: Mapping[str, str]) -> tuple[dict[str, bool], list[str]]:
    """Forced values by the flag's name in capitals, and the variables that cannot be read."""
    forced: dict[str, bool] = {}
    unreadable: list[str] = []
    for variable, text in environment.items():
        if not variable.startswith(FORCE_PREFIX):
            continue
        if text.strip().lower() in {"true", "false"}:
            forced[variable.removeprefix(FORCE_PREFIX)] = text.strip().lower() == "true"
        else:
            unreadable.append(variable)
    return forced, sorted(unreadable)


@functools.lru_cache(maxsize=4096)
def environment_name(flag: str) -> str:
    """A flag's key as it stands in FORCE_FLAG_<NAME>: `new-checkout` is NEW_CHECKOUT."""
    return re.sub(r"[^A-Z0-9]", "_", flag.upper())
