"""The only form in which a user leaves the ORM layer: frozen, JSON types only.

Imports no Django, so code that works on snapshots can be tested and reused without it.
"""

from __future__ import annotations

from typing import Any

import msgspec

SNAPSHOT_VERSION = 2
"""Raise it by one whenever the fields below change: caches hold snapshots as arrays, by position.
During a deploy a write also invalidates the entries of the next lower and higher version."""


class UserSnapshot(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One user row at one moment. Instants are microseconds since the epoch, in UTC."""

    key: str
    """The primary key as text: LaunchDarkly's context key."""
    email: str
    email_verified: bool
    name: str
    role: str
    is_staff: bool
    is_active: bool
    created_at: int
    last_seen_at: int | None
    groups: tuple[str, ...]
    """Names, sorted."""
    metadata: dict[str, Any]
    """JSON values. Nobody may change them: all callers share one snapshot."""
