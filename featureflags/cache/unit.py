"""A unit of work: a request, a task or a batch reads the rules once and keeps its contexts.

The memo lives in a ContextVar: every thread and every asyncio task that belongs to the unit sees
it, no other does. Outside of a unit nothing is kept, and each call asks anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

from featureflags.cache import usage
from featureflags.cache.rulesets import LoadedRuleset
from featureflags.contexts import UserContext

MAX_CONTEXTS = 10_000
"""A batch may be long: a memo that is full starts again."""


class UnitOfWork:
    """What one unit knows. `request` is the one that it serves, if it serves one."""

    __slots__ = ("_contexts", "_ruleset", "_ruleset_until", "request")

    def __init__(self, request: HttpRequest | None = None) -> None:
        self.request = request
        self._ruleset: LoadedRuleset | None = None
        self._ruleset_until: int | None = None
        self._contexts: dict[str, UserContext] = {}

    def ruleset(self, now: int) -> LoadedRuleset | None:
        """The rules that this unit has read, unless they were to hold only until before `now`."""
        if self._ruleset_until is not None and now >= self._ruleset_until:
            return None
        return self._ruleset

    def keep_ruleset(self, loaded: LoadedRuleset, until: int | None) -> None:
        """Use these rules until the end of the unit, or until an instant (µs)."""
        self._ruleset, self._ruleset_until = loaded, until

    def context(self, user_key: str, now: int) -> UserContext | None:
        """The context of a user, unless it is unknown or may have changed by `now` (µs)."""
        found = self._contexts.get(user_key)
        if found is None or (found.valid_until is not None and now >= found.valid_until):
            return None
        return found

    def keep(self, user_key: str, context: UserContext) -> None:
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        self._contexts[user_key] = context

    def forget_users(self, user_keys: Iterable[str]) -> None:
        for key in user_keys:
            self._contexts.pop(key, None)

    def forget_ruleset(self) -> None:
        """The rules have changed, and with them every context."""
        self._ruleset = None
        self._contexts.clear()


_unit: ContextVar[UnitOfWork | None] = ContextVar("featureflags_unit", default=None)


def current_unit() -> UnitOfWork | None:
    return _unit.get()


@contextmanager
def unit_of_work(request: HttpRequest | None = None) -> Iterator[UnitOfWork]:
    """Make what follows one unit: the rules are read once, each user once.

    A unit within a unit is a new one; the outer one goes on afterwards.
    """
    unit = UnitOfWork(request)
    token = _unit.set(unit)
    try:
        yield unit
    finally:
        _unit.reset(token)
        usage.flush_if_due()
