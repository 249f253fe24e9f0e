"""Values that come before LaunchDarkly's: `override_flag` in tests, `FORCE_FLAG_…` in the environment."""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import Enum
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, cast

from featureflags.core.fork_hooks import in_child
from featureflags.core.types import JSONValue
from featureflags.flags.declared import Flag

logger = logging.getLogger(__name__)

FORCE_PREFIX = "FORCE_FLAG_"
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Missing(Enum):
    """The type of MISSING."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""Stands for a flag that LaunchDarkly is to have no flag of."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Stands for a flag as it is, but that its variation of this number is served to everybody."""

    variation: int


Overrides: TypeAlias = "Mapping[str, JSONValue | Missing | Shown]"

NOTHING: Final[Overrides] = MappingProxyType({})

_overrides: ContextVar[Overrides] = ContextVar("featureflags_overrides", default=NOTHING)
_process_wide: dict[object, tuple[str, JSONValue | Missing]] = {}
"""What overrides that are in force everywhere set, oldest first, by the override itself."""
_everywhere: Overrides = NOTHING
"""The same by flag key; replaced as a whole, so that readers need no lock."""
in_force: Final[dict[object, str]] = {}
"""Every override that is active anywhere in this process. Nearly always empty: then a check reads no
further."""
_lock = threading.Lock()


class override_flag(ContextDecorator):  # noqa: N801 - a context manager reads as a verb
    """Answer `flag` with `value` in this thread or task: a context manager and a decorator.

    Works on sync and async functions, nested (the inner one wins) and on methods. It is applied
    where the SDK reads its flags, so that it also holds for code that calls the SDK directly and
    for flags that have this one as a prerequisite. `missing` removes the flag.

    New threads do not see it, since they start with their own context. `process_wide` is for
    tests whose server runs in another thread: every thread sees it, unless it overrides the flag
    itself.
    """

    def __init__(
        self,
        flag: str | Flag,
        value: JSONValue = True,
        *,
        missing: bool = False,
        process_wide: bool = False,
    ) -> None:
        self.flag = str(flag)
        self.value: JSONValue | Missing = MISSING if missing else value
        self.process_wide = process_wide
        self._tokens: list[tuple[Token[Overrides], object]] = []

    def __enter__(self) -> override_flag:
        changed = {**_overrides.get(), self.flag: self.value}
        entry = object()
        in_force[entry] = self.flag
        if self.process_wide:
            _change_everywhere(lambda: _process_wide.update({entry: (self.flag, self.value)}))
        self._tokens.append((_overrides.set(MappingProxyType(changed)), entry))
        return self

    def __exit__(self, *_exception: object) -> None:
        token, entry = self._tokens.pop()
        if self.process_wide:
            _change_everywhere(lambda: _process_wide.pop(entry, None))
        _overrides.reset(token)
        in_force.pop(entry, None)

    async def __aenter__(self) -> override_flag:
        return self.__enter__()

    async def __aexit__(self, *exception: object) -> None:
        self.__exit__(*exception)

    def __call__(self, function: FunctionT) -> FunctionT:
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def overridden_async(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return cast("FunctionT", overridden_async)

        @functools.wraps(function)
        def overridden(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return cast("FunctionT", overridden)

    def _again(self) -> override_flag:
        """A new override for each call, since calls may overlap."""
        again = override_flag(self.flag, process_wide=self.process_wide)
        again.value = self.value
        return again


_look: ContextVar[tuple[str, Overrides] | None] = ContextVar("featureflags_look", default=None)
_subject: ContextVar[str | None] = ContextVar("featureflags_override_subject", default=None)


@contextmanager
def override_for(user_key: str, flags: Overrides) -> Iterator[None]:
    """Answer these flags in this thread or task, for this user alone: nobody else's values change."""
    entry = object()
    in_force[entry] = user_key
    token = _look.set((user_key, flags))
    try:
        yield
    finally:
        _look.reset(token)
        in_force.pop(entry, None)


@contextmanager
def serving(flag: str, variation: int) -> Iterator[None]:
    """Let the SDK serve this variation of a flag in this thread or task, for every subject."""
    entry = object()
    in_force[entry] = flag
    token = _overrides.set(MappingProxyType({**_overrides.get(), flag: Shown(variation)}))
    try:
        yield
    finally:
        _overrides.reset(token)
        in_force.pop(entry, None)


@contextmanager
def asking_about(user_key: str) -> Iterator[None]:
    """Whose flags are asked for here. Needed only while something is `in_force`."""
    token = _subject.set(user_key)
    try:
        yield
    finally:
        _subject.reset(token)


def overridden_flags() -> Overrides:
    """The values that are set here, for whom is asked about, by flag key. MISSING: it is removed."""
    here, look = _overrides.get(), _look.get()
    if look is not None and _subject.get() in {None, look[0]}:
        here = {**look[1], **here}
    everywhere = _everywhere
    if not everywhere:
        return here
    return {**everywhere, **here} if here else everywhere


def _change_everywhere(change: Callable[[], object]) -> None:
    global _everywhere  # noqa: PLW0603 - the one place that holds it
    with _lock:
        change()
        _everywhere = MappingProxyType(dict(_process_wide.values()))


def _replace_lock_after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread that no longer exists may hold the parent's
    _lock = threading.Lock()


in_child(_replace_lock_after_fork)


@functools.cache
def forced_flags() -> Mapping[str, bool]:
    """The values that the environment forces, by the flag's name in capitals. Read once in a process.

    A value that is neither true nor false has no effect; a system check names it.
    """
    forced, unreadable = read_forced(os.environ)
    for name in unreadable:
        logger.warning("%s is neither true nor false: it has no effect.", name)
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
    """A flag's key as in FORCE_FLAG_<NAME>: `new-checkout` becomes NEW_CHECKOUT."""
    return re.sub(r"[^A-Z0-9]", "_", flag.upper())
