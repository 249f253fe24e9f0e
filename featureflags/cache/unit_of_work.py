"""A unit of work: a request, a task or a batch reads the rules once and keeps its contexts.

The memo lives in a ContextVar: every thread and every asyncio task that belongs to the unit sees
it, no other does. Outside of a unit nothing is kept, and each call asks anew. A unit that has ended
is never used again: a thread or task that was started with a copy of its context has none.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import time_ns

from django.http import HttpRequest

from featureflags.cache import counters
from featureflags.cache.compiled_rules import LoadedRuleset
from featureflags.capture.own_writes import is_writing
from featureflags.contexts.building import UserContext
from users.models import User

MAX_CONTEXTS = 10_000
"""A batch may be long: a memo that is full starts again."""


class UnitOfWork:
    """What one unit knows. `request` is the one that it serves, if it serves one."""

    __slots__ = ("_contexts", "_ruleset", "_ruleset_until", "has_ended", "request")

    def __init__(self, request: HttpRequest | None = None) -> None:
        self.request = request
        self.has_ended = False
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
        if not is_writing():
            self._ruleset, self._ruleset_until = loaded, until

    def recall(self, subject: object, visitor: str | None = None) -> UserContext | None:
        """The context of a user, or of the key of one (text as it is written everywhere, or a UUID).

        `visitor`: with the key of the visitor that they were. None: unknown, or it may have changed
        by now.
        """
        kind = type(subject)
        if kind is User:
            # The fastest of all that identifies a user.
            name: Hashable = getattr(subject.id, "int", None)  # type: ignore[attr-defined]  # it is a User
        elif kind is str:
            name = subject
        elif kind is uuid.UUID:
            name = subject.int  # type: ignore[attr-defined]  # it is a UUID
        else:
            return None
        found = self._contexts.get(name if visitor is None else (name, visitor))
        if found is None:
            return None
        context, until = found
        return context if time_ns() < until else None

    def keep(
        self,
        subject: User | uuid.UUID | str,
        visitor: str | None,
        context: UserContext,
        until: int | None,
    ) -> None:
        """Remember a context, until an instant (µs; None: the end of the unit).

        It is found by the subject, and by the same user's key as text, as a UUID, or loaded.
        """
        if is_writing():
            return
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        kept = (context, sys.maxsize if until is None else until * 1000)
        key = context.context.key
        names: tuple[Hashable, ...] = (key, subject) if type(subject) is str else (key,)
        if (number := _number(subject, key)) is not None:
            names = (*names, number)
        for name in names:
            self._contexts[name if visitor is None else (name, visitor)] = kept

    def forget_users(self, user_keys: Collection[str] | None) -> None:
        """Forget these users; None: all."""
        if user_keys is None:
            self._contexts.clear()
            return
        keys = set(user_keys)
        for name, (context, _) in list(self._contexts.items()):
            if context.context.key in keys:
                del self._contexts[name]

    def forget_ruleset(self) -> None:
        """The rules have changed, and with them every context."""
        self._ruleset = None
        self._contexts.clear()

    def end(self) -> None:
        """Forget everything; copies of the unit's context that live on find nothing."""
        self.has_ended = True
        self.request = None
        self._ruleset = None
        self._contexts = {}


def _number(subject: User | uuid.UUID | str, key: str) -> int | None:
    """The user's UUID as a number, which loaded users are found by; None for a key of another form."""
    try:
        found = uuid.UUID(key) if isinstance(subject, str) else getattr(subject, "pk", subject)
    except ValueError:
        return None
    return found.int if isinstance(found, uuid.UUID) else None


_unit: ContextVar[UnitOfWork | None] = ContextVar("featureflags_unit", default=None)


def current_unit() -> UnitOfWork | None:
    """The unit of work at hand, or None."""
    unit = _unit.get()
    return None if unit is None or unit.has_ended else unit


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
        unit.end()
        _unit.reset(token)
        counters.flush_if_due()
