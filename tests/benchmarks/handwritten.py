"""What somebody would write by hand who knows PostgreSQL and Redis well, and needs nothing else.

psycopg without Django, the protocol of Redis on a socket, and the same work: groups, the segments
and their members as a spare, reading the cache and leaving leases before the rows are read, comparing,
and writing only over what was read. There are no runs, ranges or reports, and one process does it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec
import psycopg

BATCH = 5_000
PREFIX = b"guidon:f:1:"
RENEW_SECONDS = 12 * 3600
SPARE_SECONDS = 7 * 24 * 3600
LEASE_SECONDS = 60
HEAD = 15
"""Bytes before the snapshot: an array of three, 64 bits of an instant in µs, 32 bits of an epoch."""

Row = Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Whom one warms, in SQL."""

    first: str
    """Below the key of each of them."""
    keys: str
    """A page of keys as text, after one of them."""
    rows: str
    """The key and what is to be stored, from one key to another."""
    fields: Callable[[Row, Callable[[str], Any]], tuple[Any, ...]]
    """The fields of a snapshot, from a row and what reads JSON."""


ROWS = """\
SELECT id::text, email, email_verified, name, role,
    (SELECT JSON_AGG(g.name)::text FROM auth_group g
        JOIN users_user_groups m ON m.group_id = g.id WHERE m.user_id = u.id),
    is_staff,
    (EXTRACT(EPOCH FROM created_at) * 1000000)::bigint,
    (EXTRACT(EPOCH FROM last_seen_at) * 1000000)::bigint,
    metadata::text
FROM users_user u WHERE id >= %s AND id <= %s"""


def _fields(row: Row, decode: Callable[[str], Any]) -> tuple[Any, ...]:
    groups = tuple(sorted(decode(row[5]))) if row[5] else ()
    return (*row[1:5], groups, *row[6:9], decode(row[9]))


USERS = By(
    first="00000000-0000-0000-0000-000000000000",
    keys="SELECT id::text FROM users_user WHERE id > %s ORDER BY id LIMIT %s",
    rows=ROWS,
    fields=_fields,
)
VERSION = "SELECT number, token, epoch FROM featureflags_rulesetversion"
SEGMENTS = "SELECT id, key, version, is_active, rules FROM featureflags_segment ORDER BY key"
MEMBERS = "SELECT segment_id, user_id::text, kind, expires_at FROM featureflags_segmentmember"

READ = """
local found = {}
for i, key in ipairs(KEYS) do
    found[i] = redis.call('GET', key)
    if not found[i] then
        redis.call('SET', key, ARGV[2], 'PX', ARGV[1])
        found[i] = ARGV[2]
    end
end
return found
"""
REPLACE = """
local n = 0
for i, key in ipairs(KEYS) do
    if redis.call('GET', key) == ARGV[1 + i] then
        redis.call('SET', key, ARGV[1 + #KEYS + i], 'PX', ARGV[1])
        n = n + 1
    end
end
return n
"""
AT_ONCE = 500


class Wire:
    """Redis by its protocol."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        self.call(b"SELECT", parts.path.strip("/").encode() or b"0")
        for script in (READ, REPLACE):
            self.call(b"SCRIPT", b"LOAD", script.encode())

    def call(self, *words: bytes) -> Any:
        self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # of any length
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, script: str, keys: list[bytes], *arguments: bytes) -> Any:
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest().encode()
        return self.call(b"EVALSHA", digest, str(len(keys)).encode(), *keys, *arguments)


class Handwritten:
    """Warms everybody, from lowest to highest key. `fingerprint`: the first field of each snapshot."""

    def __init__(self, fingerprint: object, by: By = USERS, *, prefix: bytes = PREFIX) -> None:
        self.fingerprint, self.by, self.prefix = fingerprint, by, prefix
        self.database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        self.redis = Wire(os.environ["REDIS_URL"])
        self.seconds = int(os.environ.get("SNAPSHOT_SECONDS", "86400"))
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.json.Decoder().decode

    def __call__(self) -> int:
        """How many were written."""
        self.epoch = self.keep_segments()
        last, written = self.by.first, 0
        while keys := [key for (key,) in self.database.execute(self.by.keys, (last, BATCH))]:
            written += self.warm(keys)
            last = keys[-1]
        return written

    def keep_segments(self) -> int:
        """The epoch at hand."""
        ((number, token, epoch),) = self.database.execute(VERSION)
        included: dict[int, dict[str, int | None]] = {}
        excluded: dict[int, dict[str, int | None]] = {}
        for segment, user, kind, until in self.database.execute(MEMBERS):
            side = included if kind == "include" else excluded
            ends = None if until is None else round(until.timestamp() * 1e6)
            side.setdefault(segment, {})[user] = ends
        rows = [
            (key, version, active, rules, included.get(pk, {}), excluded.get(pk, {}))
            for pk, key, version, active, rules in self.database.execute(SEGMENTS)
        ]
        spare = self.encode((f"{number}-{token.hex[:8]}", rows))
        milliseconds = str(SPARE_SECONDS * 1000).encode()
        self.redis.call(b"SET", self.prefix + b"ruleset-spare", spare, b"PX", milliseconds)
        return int(epoch)

    def warm(self, keys: list[str]) -> int:
        names = [b"%bu:%b" % (self.prefix, key.encode()) for key in keys]
        lease = b"~" + os.urandom(8)
        values = self.redis.run(READ, names, str(LEASE_SECONDS * 1000).encode(), lease)
        stored = dict(zip(keys, zip(names, values, strict=True), strict=True))
        now = time.time_ns() // 1000
        fresh_until = now + self.seconds * 1_000_000
        epoch = b"\xce" + self.epoch.to_bytes(4, "big")
        header = b"\x93\xcf" + fresh_until.to_bytes(8, "big") + epoch
        changes: list[tuple[bytes, bytes, bytes]] = []
        with self.database.cursor(binary=True) as cursor:
            for row in cursor.execute(self.by.rows, (keys[0], keys[-1])):
                if row[0] not in stored:
                    continue
                name, before = stored[row[0]]
                body = self.encode((self.fingerprint, *self.by.fields(row, self.decode)))
                is_same = before[HEAD:] == body and before[10:HEAD] == epoch
                ends = int.from_bytes(before[2:10], "big")
                if not is_same or ends < now + RENEW_SECONDS * 1_000_000:
                    changes.append((name, before, header + body))
        return self.write(changes)

    def write(self, changes: list[tuple[bytes, bytes, bytes]]) -> int:
        kept = str((self.seconds + SPARE_SECONDS) * 1000).encode()
        written = 0
        replacing = iter(changes)
        while chunk := list(islice(replacing, AT_ONCE)):
            names, before, after = zip(*chunk, strict=True)
            written += self.redis.run(REPLACE, list(names), kept, *before, *after)
        return written
