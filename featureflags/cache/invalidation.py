"""What a write does to the caches: at once, so that nobody fills them meanwhile, and after commit."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from django.db import transaction

from featureflags.cache import store
from featureflags.cache.unit import current_unit


def drop_snapshots(user_keys: Collection[str]) -> None:
    """Forget these users: now, and again once the transaction at hand has committed.

    For writes outside the ORM call it yourself, after the write has committed.
    """
    keys = list(user_keys)
    _drop_now(keys)
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(partial(_drop_now, keys), robust=True)


def drop_ruleset_version() -> None:
    """Make every later unit of work ask which rules hold."""
    _drop_version_now()
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(_drop_version_now, robust=True)


def rewrite_last_seen(user_keys: Collection[str], last_seen_at: int) -> None:
    """Once committed, set `last_seen_at` (µs) in the cached snapshots, which stay otherwise."""
    keys = list(user_keys)
    transaction.on_commit(partial(store.rewrite_last_seen, keys, last_seen_at), robust=True)


def _drop_now(keys: list[str]) -> None:
    unit = current_unit()
    if unit is not None:
        unit.forget_users(keys)
    store.drop(keys)


def _drop_version_now() -> None:
    unit = current_unit()
    if unit is not None:
        unit.forget_ruleset()
    store.drop_version()
