"""What lies in the cache under a user's key: an entry, or a marker that a write has left. Pure.

Two kinds of markers keep a reader from putting back what a write has replaced:

* OPEN stands from the write until its transaction ends. Nobody fills over it.
* A marker of a committed write is unique. Whoever saw it *before* they read the row has read what
  was committed, or something newer, and may replace that very marker by what they read; a later
  write leaves another one, so that the older reader comes too late.
"""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from users.snapshots import SNAPSHOT_VERSION, UserSnapshot

OPEN: Final = b"~open"
COMMITTED: Final = b"~"
"""What the marker of a committed write begins with. No entry does: it is a MessagePack array."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What is stored for a user: until when it may be used as it is (epoch seconds), and what."""

    fresh_until: int
    snapshot: UserSnapshot


BIG: Final = 1
"""MessagePack's own integers have 64 bits. Metadata may hold others, which travel as text in an
extension of this code."""
PAIR: Final = b"\x92"
HEAD: Final = 6
"""Bytes before the snapshot: an array of two, and an instant of the years 1970 to 2106."""

_encode = msgspec.msgpack.Encoder().encode


def encode(fresh_until: int, snapshot: UserSnapshot) -> bytes:
    """An entry as it is stored."""
    return head(fresh_until) + encode_fields(msgspec.structs.astuple(snapshot))


def encode_fields(fields: tuple[Any, ...]) -> bytes:
    """The fields of a snapshot, in their order, as MessagePack.

    The user's key is left out: it is what the entry lies under, and would be a third of it.
    """
    stored = ("", *fields[1:])
    try:
        return _encode(stored)
    except OverflowError:
        return _encode(_with_big_numbers(stored))


def _with_big_numbers(value: object) -> object:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(BIG, str(value).encode())
    if isinstance(value, list | tuple):
        return [_with_big_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_big_numbers(item) for key, item in value.items()}
    return value


def _big_number(code: int, data: memoryview) -> int:
    if code != BIG:
        raise msgspec.ValidationError(f"no extension of ours: {code}")
    return int(bytes(data))


_decode = msgspec.msgpack.Decoder(Entry, ext_hook=_big_number).decode


def decode(user_key: str, stored: bytes) -> Entry:
    """The entry of a user. Raises msgspec.DecodeError for what is none, or another release's."""
    entry = _decode(stored)
    # Frozen for whoever gets it; nobody has it yet.
    msgspec.structs.force_setattr(entry.snapshot, "key", user_key)
    return entry


def head(fresh_until: int) -> bytes:
    """What stands before an encoded snapshot: together they are an entry."""
    return PAIR + _encode(fresh_until)


def fresh_until_if_same(stored: bytes, snapshot: bytes) -> int:
    """Until when a stored entry may be used if it holds this very (encoded) snapshot; else 0.

    Nothing is decoded. An entry that was written in another order of metadata counts as another.
    """
    if stored[HEAD:] != snapshot or not stored.startswith(PAIR + b"\xce"):
        return 0
    return int.from_bytes(stored[2:HEAD], "big")


def snapshot_key(user_key: str) -> str:
    """Where a user's snapshot lies. The version lets two releases run side by side.

    Short, as `KEY_PREFIX` is: a UUID and both fit into 64 bytes of Redis, where a longer name takes
    80 for each user.
    """
    return f"u{SNAPSHOT_VERSION}:{user_key}"


def marked_keys(user_key: str) -> list[str]:
    """Where a write leaves its markers: also for the releases before and after this one.

    During a deploy both serve, each from entries of its own version; a write by one of them is a
    write for the other one too.
    """
    return [f"u{SNAPSHOT_VERSION + step}:{user_key}" for step in (0, -1, 1)]


def committed_marker() -> bytes:
    """A marker that no other write leaves."""
    return COMMITTED + os.urandom(8)


def is_entry(value: object) -> bool:
    """Whether it may be an entry. Another cache's value, or None, is none."""
    return isinstance(value, bytes) and not value.startswith(COMMITTED)


def is_replaceable(value: object) -> bool:
    """Whether a fill may put what it read in the place of this value."""
    return isinstance(value, bytes) and value != OPEN
