"""A unit of work: a request, a task or a batch reads the rules once and keeps its contexts.

The memo lives in a ContextVar: every thread and every asyncio task that belongs to the unit sees
it, no other does. Outside of a unit nothing is kept, and each call asks anew. A unit that has ended
is never used again: a thread or task that was started with a copy of its context has none.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Hashable, Iterable
from contextvars import ContextVar
from time import monotonic, time_ns
from typing import cast

from django.db.models import Model
from django.http import HttpRequest

from featureflags.cache.compiled_rules import LoadedRuleset, current_ruleset, recent_ruleset
from featureflags.cache.counters import due_at, flush_if_due
from featureflags.cache.snapshot_store import CacheRead
from featureflags.capture.own_writes import is_writing, unsettled
from featureflags.contexts.results import Degradation
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.types import MICROSECONDS_PER_SECOND
from featureflags.kinds.registry import kind_of_model, user_kind
from featureflags.kinds.snapshot import USER, address

_KEYS = frozenset({str, uuid.UUID, int, tuple})
"""Types that name a row: the key of a user, and an address."""
MAX_CONTEXTS = 10_000
"""A batch may be long: a memo that is full starts again."""


RETRY_AFTER = MICROSECONDS_PER_SECOND
"""Within a unit, the database is asked again so long after it failed (µs): a page that asks for
ten flags waits once for a server that hangs."""


class UnitOfWork:
    """What one unit knows. `request` is the one that it serves, if it serves one. See `unit_of_work`."""

    __slots__ = ("_contexts", "_ruleset", "_ruleset_until", "_token", "has_ended", "request")

    def __init__(self, request: HttpRequest | None = None) -> None:
        self.request = request
        self.has_ended = False
        self._ruleset: LoadedRuleset | None = None
        self._ruleset_until: int | None = None
        self._contexts: dict[Hashable, tuple[SubjectContext, int]] = {}
        """With the instant (ns) until which each may be used."""

    def known_rules(self) -> LoadedRuleset | None:
        """The rules that this unit has read, unless they were the last known ones a while ago."""
        if self._ruleset_until is not None and time_ns() >= self._ruleset_until:
            return None
        return self._ruleset

    def rules(self, read: CacheRead | Callable[[], CacheRead]) -> LoadedRuleset:
        """The rules that this unit has read, else those in force by `read`, which it keeps.

        A `read` that is a function is called only if `recent_ruleset` does not save it. Rules that may
        not be in force are kept for RETRY_AFTER only.
        """
        known = self._ruleset
        if known is None or ((until := self._ruleset_until) is not None and time_ns() >= until):
            if isinstance(read, CacheRead):
                known = current_ruleset(read)
            else:
                known = recent_ruleset() or current_ruleset(read())
            if not (unsettled and is_writing()):
                self._ruleset = known
                is_sure = known.degraded is None
                self._ruleset_until = None if is_sure else time_ns() + RETRY_AFTER * 1000
        return known

    def recall(self, subject: object, visitor: str | None = None) -> SubjectContext | None:
        """The context of a row, or of the key of one (text as it is written everywhere, a UUID or a number).

        `subject` may be an address too. `visitor`: with the key of the visitor that they were. None:
        unknown, or it may have changed by now.
        """
        kind, known = type(subject), user_kind()
        name: Hashable = subject
        if kind is known.model:
            name = getattr(subject, known.key_attribute)
        elif kind is tuple and not all(type(each) is str for each in subject):  # type: ignore[attr-defined]  # a tuple
            return None
        elif kind not in _KEYS:
            other = kind_of_model(cast("Hashable", kind))
            if other is None or other is known:
                return None
            name = (other.name, other.key_of(subject))
        # The number of a UUID is found faster than the UUID.
        number = getattr(name, "int", name)
        found = self._contexts.get(number if visitor is None else (number, visitor))
        if found is None:
            if kind is str or not self._contexts:
                return None
            # It may have been asked for by its text.
            text = str(name)
            found = self._contexts.get(text if visitor is None else (text, visitor))
            if found is None:
                return None
        context, until = found
        return context if time_ns() < until else None

    def keep(
        self,
        subject: Hashable,
        visitor: str | None,
        context: SubjectContext,
    ) -> None:
        """Remember a context until it changes by itself; what failed for RETRY_AFTER, since it may heal.

        It is found by the subject, by the same key as text or as the column holds it, and by the loaded row.
        """
        if (unsettled and is_writing()) or Degradation.NO_SUCH_USER in context.degraded:
            return
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        until = context.valid_until
        ends = sys.maxsize if until is None else until * 1000
        if context.degraded:
            ends = time_ns() + RETRY_AFTER * 1000
        kept = (context, ends)
        made = context.context
        row = made.key if made.kind == USER else context.address
        name: Hashable = subject
        if isinstance(subject, Model):
            name = getattr(subject, user_kind().key_attribute) if isinstance(row, str) else row
        for each in (row, getattr(name, "int", name)):
            self._contexts[each if visitor is None else (each, visitor)] = kept

    def forget_rows(self, kind: str, keys: Iterable[str] | None) -> None:
        """Forget the rows of a kind with these keys, and whose context they are part of; None: all."""
        if keys is None:
            self._contexts.clear()
            return
        rows = {address(kind, key) for key in keys}
        for name, (context, _) in list(self._contexts.items()):
            if not rows.isdisjoint(context.addresses):
                del self._contexts[name]

    def forget_ruleset(self) -> None:
        """The rules have changed, and with them every context."""
        self._ruleset = None
        self._contexts.clear()

    def __enter__(self) -> UnitOfWork:
        self._token = _unit.set(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()
        _unit.reset(self._token)
        if monotonic() >= due_at[0]:
            flush_if_due()

    def end(self) -> None:
        """Forget everything; copies of the unit's context that live on find nothing."""
        self.has_ended = True
        self.request = None
        self._ruleset = None
        self._contexts = {}


_unit: ContextVar[UnitOfWork | None] = ContextVar("featureflags_unit", default=None)


unit_or_ended = _unit.get
"""As `current_unit`, or a unit that has ended, which recalls nothing: for a path where a call counts."""


def current_unit() -> UnitOfWork | None:
    """The unit of work at hand, or None."""
    unit = _unit.get()
    return None if unit is None or unit.has_ended else unit


def unit_of_work(request: HttpRequest | None = None) -> UnitOfWork:
    """Make what follows `with` it one unit: the rules are read once, each user once.

    A unit within a unit is a new one; the outer one goes on afterwards.
    """
    return UnitOfWork(request)
