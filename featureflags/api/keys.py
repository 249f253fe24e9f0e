"""Which key a token is: asked of the database once in FRESH_SECONDS, by each process.

What is kept stays in the process: no token and no digest reaches a shared cache. A key that is
revoked is refused within FRESH_SECONDS by every process. Nothing is kept of tokens that are wrong.
While the database does not answer, a key that this process has confirmed within OUTAGE_SECONDS still
evaluates flags; it reads and writes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models.signals import post_delete, post_save
from django.utils import timezone

from featureflags.core.monitoring import report
from featureflags.models import ApiKey, Scope, ServiceKey
from featureflags.models.api_keys import USED_EVERY, digest_of

logger = logging.getLogger(__name__)

FRESH_SECONDS: Final = 5.0
OUTAGE_SECONDS: Final = 3600.0
MOST_KNOWN: Final = 1000
"""A process that knows more keys begins again."""


class KeyRefused(Exception):
    """A token that is nobody's, or of a key that is revoked or has expired."""


@dataclass(slots=True)
class _Known:
    key: ServiceKey
    read_at: float
    """On the monotonic clock, as `noted_at`."""
    noted_at: float


_known: dict[str, _Known] = {}


def find_key(token: str) -> ServiceKey:
    """The key of a token. Raises KeyRefused, and DatabaseError if nobody can say.

    Hidden SQL: one query by index, every FRESH_SECONDS; an update of `last_used_at` every USED_EVERY.
    """
    digest = digest_of(token)
    known, now = _known.get(digest), monotonic()
    if known is None or now - known.read_at >= FRESH_SECONDS:
        known = _read(token, digest, known, now)
    if known.key.has_expired(timezone.now()):
        raise KeyRefused("This API key has expired.")
    _note_used(known, now)
    return known.key


def forget_keys(**_signal: Any) -> None:
    """Ask the database again about every key."""
    _known.clear()


post_save.connect(forget_keys, sender=ApiKey, dispatch_uid="featureflags.api.keys.saved")
post_delete.connect(forget_keys, sender=ApiKey, dispatch_uid="featureflags.api.keys.deleted")


def _read(token: str, digest: str, known: _Known | None, now: float) -> _Known:
    try:
        row = ApiKey.objects.by_token(token)
    except (OperationalError, InterfaceError) as error:
        if known is None or known.key.scope is not Scope.EVALUATE:
            raise
        if now - known.read_at >= OUTAGE_SECONDS:
            raise
        report(logger, "api_key_unconfirmed", "A known API key is used: %s", type(error).__name__)
        return known
    if row is None or not row.is_active:
        _known.pop(digest, None)
        raise KeyRefused("This API key is not valid.")
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    noted_at = known.noted_at if known is not None else _noted_at(row, now)
    found = _known[digest] = _Known(row.as_service_key(), now, noted_at)
    return found


def _noted_at(row: ApiKey, now: float) -> float:
    """When the stored `last_used_at` was, on the monotonic clock."""
    if row.last_used_at is None:
        return now - USED_EVERY.total_seconds()
    return now - (timezone.now() - row.last_used_at).total_seconds()


def _note_used(known: _Known, now: float) -> None:
    if now - known.noted_at < USED_EVERY.total_seconds():
        return
    known.noted_at = now
    try:
        ApiKey.objects.note_used(known.key.pk, timezone.now())
    except DatabaseError as error:
        report(logger, "api_key_use_unwritten", "last_used_at failed: %s", type(error).__name__)
