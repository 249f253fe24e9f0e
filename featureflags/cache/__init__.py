"""Snapshots of users, the compiled rules, and the version that names the rules in force.

In: the primary database (rows, the version, the outbox of writes) and a cache that processes share
(Redis or files). Out: the fresh snapshots and the rules for one unit of work; an answer is never older
than promised. `unit_of_work` and `compiled_rules` are what a surface reads with, `invalidation` and
`outbox` what a write leaves, `counters` what was counted. Below them, for the rooms that evaluate and
warm, `protocol` has the steps in their order; `entries` has the bytes and `backends` the two caches.

The cache holds three things by name: a version, and for each user a lease while a reader reads the row,
or an entry:

>>> from featureflags.cache.entries import decode_version, decoder_of, encode, is_lease
>>> from featureflags.cache.entries import name_of, new_lease
>>> from featureflags.kinds.registry import user_kind
>>> decode_version(b"12-9f1c2d3e|1764158400")  # the rules in force, and the epoch
('12-9f1c2d3e', 1764158400)
>>> is_lease(new_lease())
True
>>> ada = user_kind().snapshot_type(
...     key="5f0c2a9e", email="ada@example.com", email_verified=True, name="Ada", role="admin",
...     is_staff=True, created_at=0, last_seen_at=None, groups=(), metadata={},
... )
>>> name_of(ada.key)
'u:5f0c2a9e'
>>> stored = encode(1_764_244_800_000_000, 1_764_158_400, ada)
>>> entry = decoder_of(user_kind().snapshot_type).decode(stored)
>>> entry.fresh_until, entry.epoch, entry.snapshot.email  # µs, the epoch, a field of the snapshot
(1764244800000000, 1764158400, 'ada@example.com')
>>> entry.snapshot.key == user_kind().fingerprint  # in the place of the key, which the name holds
True
"""

from __future__ import annotations

__all__ = [
    "backends",
    "celery_units",
    "compiled_rules",
    "counters",
    "entries",
    "invalidation",
    "outbox",
    "protocol",
    "read_through",
    "unit_of_work",
]
