"""What others may want to know about writes to users.

Each signal is sent within the transaction of the write, before it commits. A receiver that acts
on what is stored elsewhere (a cache) acts at once *and* after the commit.
"""

from __future__ import annotations

from django.dispatch import Signal

users_changed = Signal()
"""`keys`: list[str], the users whose snapshot no longer holds. At most `CHUNK` in one call."""

users_seen = Signal()
"""`keys`: list[str]; `last_seen_at`: int, microseconds. Nothing else about them changed."""

users_deleted = Signal()
"""`keys`: list[str]. Nothing of them may stay behind."""

CHUNK = 10_000
