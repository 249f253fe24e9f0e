"""What lies in the cache under a user's key: an entry, or a marker that a write has left. Pure.

Two kinds of markers keep a reader from putting back what a write has replaced:

* OPEN stands from the write until its transaction ends. Nobody fills over it.
* A marker of a committed write is unique. Whoever saw it *before* they read the row has read what
  was committed, or something newer, and may replace that very marker by what they read; a later
  write leaves another one, so that the older reader comes too late.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from users.snapshots import SNAPSHOT_VERSION, UserSnapshot

OPEN: Final = b"~open"
COMMITTED: Final = b"~"
"""What the marker of a committed write begins with. No entry does: it is a MessagePack array."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What is stored for a user: until when it may be used as it is (epoch seconds), and what."""

    fresh_until: int
    snapshot: UserSnapshot


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode
"""Raises msgspec.DecodeError for what is no entry, or one of another release."""


def snapshot_key(user_key: str) -> str:
    """Where a user's snapshot lies. The version lets two releases run side by side."""
    return f"snapshot:{SNAPSHOT_VERSION}:{user_key}"


def committed_marker() -> bytes:
    """A marker that no other write leaves."""
    return COMMITTED + os.urandom(8)


def is_entry(value: object) -> bool:
    """Whether it may be an entry. Another cache's value, or None, is none."""
    return isinstance(value, bytes) and not value.startswith(COMMITTED)


def is_replaceable(value: object) -> bool:
    """Whether a fill may put what it read in the place of this value."""
    return isinstance(value, bytes) and value != OPEN
