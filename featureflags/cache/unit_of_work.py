"""A unit of work: a request, a task or a batch reads the rules once and keeps its contexts.

The memo lives in a ContextVar: every thread and every asyncio task that belongs to the unit sees
it, no other does. Outside of a unit nothing is kept, and each call asks anew.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import time_ns

from django.http import HttpRequest

from featureflags.cache import flag_usage
from featureflags.cache.compiled_rules import LoadedRuleset
from featureflags.contexts.building import UserContext
from users.models import User

MAX_CONTEXTS = 10_000
"""A batch may be long: a memo that is full starts again."""


class UnitOfWork:
    """What one unit knows. `request` is the one that it serves, if it serves one."""

    __slots__ = ("_contexts", "_ruleset", "_ruleset_until", "request")

    def __init__(self, request: HttpRequest | None = None) -> None:
        self.request = request
        self._ruleset: LoadedRuleset | None = None
        self._ruleset_until: int | None = None
        self._contexts: dict[Hashable, tuple[UserContext, int]] = {}
        """With the instant (ns) until which each may be used."""

    def ruleset(self, now: int) -> LoadedRuleset | None:
        """The rules that this unit has read, unless they were to hold only until before `now`."""
        if self._ruleset_until is not None and now >= self._ruleset_until:
            return None
        return self._ruleset

    def keep_ruleset(self, loaded: LoadedRuleset, until: int | None) -> None:
        """Use these rules until the end of the unit, or until an instant (µs)."""
        self._ruleset, self._ruleset_until = loaded, until

    def recall(self, subject: object) -> UserContext | None:
        """The context of a user, or of the key of one (text as it is written everywhere, or a
        UUID), unless it is unknown or may have changed by now."""
        kind = type(subject)
        if kind is User:
            # Of all that tells a user, this takes the least time to look up.
            subject = subject.id.int  # type: ignore[attr-defined]  # it is a User
        elif kind is uuid.UUID:
            subject = subject.int  # type: ignore[attr-defined]  # it is a UUID
        elif kind is not str:
            return None
        found = self._contexts.get(subject)
        if found is None:
            return None
        context, until = found
        return context if time_ns() < until else None

    def recall_visited(self, user_key: str, visitor: str) -> UserContext | None:
        """The context of a user with the key of the visitor they were, as `recall`."""
        found = self._contexts.get((user_key, visitor))
        return found[0] if found is not None and time_ns() < found[1] else None

    def keep(
        self, user_key: str, context: UserContext, *, primary_key: uuid.UUID | None = None
    ) -> None:
        """Remember the context of a user, by the primary key of the row too if there is one."""
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        kept = self._contexts[user_key] = (context, _until(context))
        if primary_key is not None:
            self._contexts[primary_key.int] = kept

    def keep_visited(self, user_key: str, visitor: str, context: UserContext) -> None:
        """Remember the context of a user with the key of the visitor they were."""
        self._contexts[user_key, visitor] = (context, _until(context))

    def forget_users(self, user_keys: Iterable[str]) -> None:
        keys = set(user_keys)
        for name, (context, _) in list(self._contexts.items()):
            if context.context.key in keys:
                del self._contexts[name]

    def forget_ruleset(self) -> None:
        """The rules have changed, and with them every context."""
        self._ruleset = None
        self._contexts.clear()


def _until(context: UserContext) -> int:
    """When an attribute or a membership may change by itself, in ns; ages away if none does."""
    until = context.valid_until
    return sys.maxsize if until is None else until * 1000


_unit: ContextVar[UnitOfWork | None] = ContextVar("featureflags_unit", default=None)
current_unit = _unit.get
"""The unit of work at hand, or None."""


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
        flag_usage.flush_if_due()
