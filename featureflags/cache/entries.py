"""What lies in the cache, as bytes. Pure: no cache, no database.

A name holds one of three things, or nothing:

* an **entry**: `[fresh_until, epoch, snapshot]` as a MessagePack array. In the place of its key, the
  snapshot holds the fingerprint of its fields: of two releases that declare a kind in different ways,
  each takes the entries of the other for none.
  `fresh_until` is in µs, so that two fills of one name never write the same bytes.
  `epoch` says in which life of the cache the entry was written; an entry of another epoch is a spare.
* the **version**: `version|epoch`, for example `b"12-9f1c2d3e|1764150000"`. It says which rules are in
  force and which entries are valid. It is the only name that holds it.
* a **lease**: `~` and 8 random bytes. A reader leaves it before it reads the database. A fill replaces
  exactly the bytes that its reader saw *before* the read; whatever was written or removed since then
  makes the fill fail.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, Final, Protocol

import msgspec

from featureflags.kinds.registry import kind_named
from featureflags.kinds.snapshot import USER, Address, Snapshot

__all__ = [
    "ARRAY",
    "HEAD",
    "LEASE",
    "USER",
    "VERSION_NAME",
    "Entry",
    "decode_version",
    "decoder_of",
    "encode",
    "encode_fields",
    "encode_version",
    "fresh_until_if_same",
    "head",
    "is_lease",
    "name_of",
    "new_lease",
]

VERSION_NAME: Final = "version"
LEASE: Final = b"~"
"""The first byte of a lease. An entry begins with ARRAY, a version with a digit."""


class Entry(Protocol):
    """What is stored for a row."""

    fresh_until: int
    """µs since the epoch: until when it may be used."""
    epoch: int
    snapshot: Snapshot


BIG: Final = 1
"""MessagePack's own integers have 64 bits. Larger ones, which metadata may hold, are stored as text
in an extension of this code."""
ARRAY: Final = b"\x93"
UINT64: Final = b"\xcf"
UINT32: Final = b"\xce"
HEAD: Final = 15
"""Bytes before the snapshot: an array of three, 64 bits of an instant, 32 bits of an epoch."""

_encode = msgspec.msgpack.Encoder().encode


def encode(fresh_until: int, epoch: int, snapshot: Snapshot) -> bytes:
    """An entry as it is stored."""
    kind = kind_named(snapshot.kind)
    fingerprint = "" if kind is None else kind.fingerprint
    fields = msgspec.structs.astuple(snapshot)
    return head(fresh_until, epoch) + encode_fields(fields, fingerprint)


def encode_fields(fields: Sequence[Any], fingerprint: str) -> bytes:
    """The fields of a snapshot, in their order, as MessagePack.

    The key is left out: it is part of the entry's name, and would be a third of the entry.
    """
    stored = (fingerprint, *fields[1:])
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
        raise msgspec.ValidationError(f"unknown extension: {code}")
    return int(bytes(data))


@cache
def decoder_of(snapshot_type: Hashable) -> msgspec.msgpack.Decoder[Any]:
    fields: list[tuple[str, Any]] = [
        ("fresh_until", int),
        ("epoch", int),
        ("snapshot", snapshot_type),
    ]
    entry = msgspec.defstruct("StoredEntry", fields, array_like=True, frozen=True)
    return msgspec.msgpack.Decoder(entry, ext_hook=_big_number)


def head(fresh_until: int, epoch: int) -> bytes:
    """The bytes before an encoded snapshot: together they are an entry. Integers of fixed width."""
    return ARRAY + UINT64 + fresh_until.to_bytes(8, "big") + UINT32 + epoch.to_bytes(4, "big")


def fresh_until_if_same(stored: bytes, epoch: int, snapshot: bytes) -> int:
    """`fresh_until` of a stored entry, if it holds this very (encoded) snapshot in this epoch; else 0.

    Nothing is decoded. An entry with its metadata in another order counts as another.
    """
    if stored[HEAD:] != snapshot or not stored.startswith(ARRAY + UINT64):
        return 0
    fresh_until = int.from_bytes(stored[2:10], "big")
    return fresh_until if stored[:HEAD] == head(fresh_until, epoch) else 0


def name_of(row: Address) -> str:
    """Under which name the entry of a row is stored; two releases side by side use the same one.

    Short, as `KEY_PREFIX` is: with a UUID both fit into 64 bytes of Redis; a longer name takes 80
    for each user.
    """
    return "u:" + row if type(row) is str else f"k:{row[0]}:{row[1]}"


def new_lease() -> bytes:
    """A lease that nobody else takes."""
    return LEASE + os.urandom(8)


def is_lease(stored: bytes) -> bool:
    return stored.startswith(LEASE)


def encode_version(version: str, epoch: int) -> bytes:
    return f"{version}|{epoch}".encode()


def decode_version(stored: bytes | None) -> tuple[str, int] | None:
    """Version and epoch; None for a lease, nothing, or bytes of another release."""
    if stored is None or is_lease(stored):
        return None
    version, _, epoch = stored.decode(errors="replace").rpartition("|")
    return (version, int(epoch)) if version and epoch.isdecimal() else None
