"""What others may want to know about writes to users.

Each signal is sent within the transaction of the write, before it commits. A receiver that acts
on what is stored elsewhere (a cache) acts at once *and* after the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.dispatch import Signal

users_changing = Signal()
"""`keys`: list[str], users whose snapshot is about to change by a write that may have no transaction
of its own, so that `users_changed` comes only after it. At most `CHUNK` in one call."""

users_created = Signal()
"""`keys`: list[str]. Whoever asked for one of them before has learnt that there is no such user."""

users_changed = Signal()
"""`keys`: list[str], the users whose snapshot no longer holds. At most `CHUNK` in one call."""

users_seen = Signal()
"""`keys`: list[str]; `last_seen_at`: int, microseconds. Nothing else about them changed."""

users_deleted = Signal()
"""`keys`: list[str]. Nothing of them may stay behind."""

CHUNK = 10_000


def in_chunks(keys: Sequence[str]) -> Iterator[list[str]]:
    """As many keys as one signal may carry, again and again."""
    for start in range(0, len(keys), CHUNK):
        yield list(keys[start : start + CHUNK])
