"""Entries as bytes: put together, compared without being decoded, and any number in them."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.cache.entries import (
    OPEN,
    Entry,
    committed_marker,
    decode,
    encode,
    encode_fields,
    fresh_until_if_same,
    head,
    snapshot_key,
)
from featureflags.management.demo.random_users import crowd
from users.snapshots import UserSnapshot
from users.times import to_microseconds

UNTIL = 1_800_000_000


def snapshot(**metadata: Any) -> UserSnapshot:
    return UserSnapshot(
        key="00000000-0000-0000-0000-000000000001",
        email="ada@agpt.co",
        email_verified=True,
        name="Ada",
        role="user",
        is_staff=False,
        is_active=True,
        created_at=1_735_787_045_678_901,
        last_seen_at=None,
        groups=("a", "b"),
        metadata=metadata,
    )


def fields(of: UserSnapshot) -> bytes:
    return encode_fields(msgspec.structs.astuple(of))


@given(st.dictionaries(st.text(), st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)))
def test_a_head_and_the_fields_are_an_entry(metadata: dict[str, Any]) -> None:
    found = snapshot(**metadata) if all(map(str.isidentifier, metadata)) else snapshot(x=metadata)
    whole = head(UNTIL) + fields(found)
    assert whole == encode(UNTIL, found)
    assert decode(found.key, whole) == Entry(UNTIL, found)
    assert fresh_until_if_same(whole, fields(found)) == UNTIL


@pytest.mark.parametrize(
    "number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**308, -(10**308)]
)
def test_numbers_beyond_64_bits_come_back_as_they_were(number: int) -> None:
    deep = snapshot(n=number, deep=[{"x": [number, 1.5, "é", None, True]}])
    back = decode(deep.key, encode(UNTIL, deep)).snapshot
    assert back == deep
    assert type(back.metadata["n"]) is int


def test_another_snapshot_a_marker_or_no_entry_is_not_the_same() -> None:
    ours = fields(snapshot(plan="pro"))
    others = [
        encode(UNTIL, snapshot(plan="free")),
        encode(UNTIL, snapshot(plan="prof")),
        encode(UNTIL, snapshot()),
        OPEN,
        committed_marker(),
        b"",
        ours,
        b"xxxxxx" + ours,
        head(2**40) + ours,
    ]
    assert [fresh_until_if_same(other, ours) for other in others] == [0] * len(others)


def test_what_is_of_another_release_is_no_entry() -> None:
    foreign = msgspec.msgpack.encode((UNTIL, [msgspec.msgpack.Ext(9, b"1")]))
    with pytest.raises(msgspec.DecodeError):
        decode("x", foreign)


def test_a_typical_user_takes_little() -> None:
    """108 bytes fill the 112 that Redis' allocator gives out; with the key, its expiry and what
    Redis keeps beside them that is less than 300 for each user. `make bench` measures it."""
    crowd_of = [
        encode(
            UNTIL,
            UserSnapshot(
                key=str(user.id),
                email=user.email,
                email_verified=user.email_verified,
                name=user.name,
                role=user.role,
                is_staff=False,
                is_active=user.is_active,
                created_at=to_microseconds(user.created_at),
                last_seen_at=to_microseconds(user.last_seen_at or user.created_at),
                groups=("testers",),
                metadata=user.metadata,
            ),
        )
        for user in crowd(1000, datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC))
    ]
    assert sum(map(len, crowd_of)) / len(crowd_of) <= 108
    assert len(snapshot_key(str(uuid.UUID(int=0)))) < 50
