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
    decode_version,
    encode,
    encode_fields,
    encode_version,
    fresh_until_if_same,
    head,
    is_lease,
    name_of,
    new_lease,
)
from featureflags.cache.snapshot_store import entry_of
from featureflags.core.times import to_microseconds
from featureflags.kinds.registry import user_kind
from featureflags.kinds.snapshot import Snapshot
from users.demo.random_users import crowd

UNTIL = 1_800_000_000_000_000
EPOCH = 1_764_000_000


def snapshot(**metadata: Any) -> Any:
    return user_kind().snapshot_type(
        key="00000000-0000-0000-0000-000000000001",
        email="ada@agpt.co",
        email_verified=True,
        name="Ada",
        role="user",
        is_staff=False,
        created_at=1_735_787_045_678_901,
        last_seen_at=None,
        groups=("a", "b"),
        metadata=metadata,
    )


def fields(of: Snapshot) -> bytes:
    return encode_fields(msgspec.structs.astuple(of), user_kind().fingerprint)


@given(st.dictionaries(st.text(), st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)))
def test_a_head_and_the_fields_are_an_entry(metadata: dict[str, Any]) -> None:
    found = snapshot(**metadata) if all(map(str.isidentifier, metadata)) else snapshot(x=metadata)
    whole = head(UNTIL, EPOCH) + fields(found)
    assert whole == encode(UNTIL, EPOCH, found)
    entry = entry_of(found.key, whole)
    assert entry is not None
    assert (entry.fresh_until, entry.epoch, entry.snapshot) == (UNTIL, EPOCH, found)
    assert fresh_until_if_same(whole, EPOCH, fields(found)) == UNTIL


@pytest.mark.parametrize(
    "number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**308, -(10**308)]
)
def test_numbers_beyond_64_bits_come_back_as_they_were(number: int) -> None:
    deep = snapshot(n=number, deep=[{"x": [number, 1.5, "é", None, True]}])
    entry = entry_of(deep.key, encode(UNTIL, EPOCH, deep))
    assert entry is not None
    back: Any = entry.snapshot
    assert back == deep
    assert type(back.metadata["n"]) is int


def test_another_snapshot_or_epoch_or_a_lease_is_not_the_same() -> None:
    ours = fields(snapshot(plan="pro"))
    others = [
        encode(UNTIL, EPOCH, snapshot(plan="free")),
        encode(UNTIL, EPOCH, snapshot(plan="prof")),
        encode(UNTIL, EPOCH, snapshot()),
        encode(UNTIL, EPOCH + 1, snapshot(plan="pro")),
        new_lease(),
        b"",
        ours,
        b"x" * len(head(UNTIL, EPOCH)) + ours,
    ]
    assert [fresh_until_if_same(other, EPOCH, ours) for other in others] == [0] * len(others)


def test_what_is_of_another_release_is_no_entry() -> None:
    foreign = msgspec.msgpack.encode((UNTIL, EPOCH, [msgspec.msgpack.Ext(9, b"1")]))
    assert entry_of("x", foreign) is None


def test_what_is_of_another_declaration_is_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = encode(UNTIL, EPOCH, snapshot())
    monkeypatch.setattr(user_kind(), "fingerprint", "NEXT")

    assert entry_of("x", stored) is None


def test_a_typical_user_takes_little() -> None:
    """With the key, its expiry and what Redis keeps beside them that is less than 300 bytes for each
    user. `make bench` measures it."""
    crowd_of = [
        encode(
            UNTIL,
            EPOCH,
            user_kind().snapshot_type(
                key=str(user.id),
                email=user.email,
                email_verified=user.email_verified,
                name=user.name,
                role=user.role,
                is_staff=False,
                created_at=to_microseconds(user.created_at),
                last_seen_at=to_microseconds(user.last_seen_at or user.created_at),
                groups=("testers",),
                metadata=user.metadata,
            ),
        )
        for user in crowd(1000, datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC))
    ]
    assert sum(map(len, crowd_of)) / len(crowd_of) <= 119
    assert len(name_of(str(uuid.UUID(int=0)))) < 50


def test_a_version_comes_back_and_a_lease_is_none() -> None:
    assert decode_version(encode_version("12-9f1c2d3e", EPOCH)) == ("12-9f1c2d3e", EPOCH)
    for other in (None, new_lease(), b"", b"12-9f1c2d3e", b"1|x", b"\xff|1"[:1]):
        assert decode_version(other) is None
    assert is_lease(new_lease())
    assert new_lease() != new_lease()
