"""A random sample of the rows of a kind, which stays the same for a day.

    sample = day_sample(kind)
    sample.rows(SMALL)       # a queryset: 2,000 of the rows, as they are now

The sample are the rows whose keys have the smallest hashes, with the day as salt. So each row has the
same chance, whatever its key and its age: blocks of rows, and ranges of keys that follow the time, have
neighbours of one age, and their intervals miss the truth. Numbers do not flicker from one preview to
the next, and a redraw only adds what is new.

Where the keys themselves are random (UUIDs of version 4), all parts but the first are ranges of them, from a
place that the day chooses. Each row has the same chance there too, and the index holds them side by side: a row
is read in a third of the time. `_are_random` looks at the keys that the hashes chose, and not at the declaration.

The hourly count draws it, in one pass over the keys. A small table gets one when somebody asks.
Hidden SQL: a count and that pass, where it is drawn; none where it is read from Django's cache.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.core.cache import caches
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Field, Func, Q, QuerySet, TextField, Value
from django.db.models.functions import MD5, Concat
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.kinds.compiled import CompiledKind

SMALL, MIDDLE = range(2)
SIZES: Final = (2_000, *5 * (20_000,))
"""Rows of the parts, of which no two share a row: what Python can look at in a page; an estimate in some
60 ms; and better ones, by as much as there is time for."""
SPARE: Final = 6
"""The pass sorts no more rows than it needs, and so many standard deviations of their number: the hashes
that are small enough vary, and once in 10⁹ times too few are found."""
HASHES: Final = 16**8
RANGES: Final = 14
"""Parts of a sample whose keys are random: as many as there is time for within a third of a second."""
KEYS: Final = 2**128
VERSION_PLACE: Final = 15
"""Of the version's digit in a UUID as JSON."""
MOST_DISTANCE: Final = 2.5
"""Kolmogorov's and Smirnov's distance of a sample from evenly spread keys, times the root of its size: chance
exceeds it once in 100,000 times."""
NEIGHBOURS: Final = 20
CLOSEST: Final = 2.0
"""So many neighbours in a sample share at least the room of two: less is chance once in 10⁸ samples (Poisson)."""

SECONDS: Final = 0.5
"""A page draws a sample itself if that takes no longer."""
CACHE_KEY: Final = "day-sample"
KEPT_SECONDS: Final = 25 * 3600
UNASKED_SECONDS: Final = 600
"""For a sample that a page had to draw: nothing may renew it each hour."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache holds, without the keys."""

    day: str
    total: int
    is_random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySample:
    """The sample of one kind."""

    kind: CompiledKind
    day: str
    total: int
    """All rows of the kind when it was drawn: within the last hour."""
    is_random: bool
    """The keys are random, so that a range of them is a sample. Never of a small table."""

    @property
    def is_everybody(self) -> bool:
        """True if it leaves nobody out."""
        return self.total <= sum(SIZES)

    @property
    def parts(self) -> range:
        """All parts."""
        if not self.is_random:
            return range(len(SIZES))
        return range(1 + min(RANGES, self.total * 4 // 5 // SIZES[MIDDLE]))

    def rows(self, part: int) -> QuerySet[Any]:
        """The rows of one part that still exist. A part that the cache has lost is empty."""
        return self.kind.rows().filter(self.has(part))

    def has(self, part: int) -> InSample | Q:
        """The condition on a row that it is in this part."""
        if self.is_random and part != SMALL:
            low, high = self._range(part)
            return Q(**{f"{self.kind.key}__gte": low, f"{self.kind.key}__lt": high})
        keys = caches["default"].get(_name(self.kind, self.day, part)) or "[]"
        return InSample(F(self.kind.key), keys, self.kind.key_field)

    def _range(self, part: int) -> tuple[uuid.UUID, uuid.UUID]:
        """Between which keys a part lies: one after another, from a place that the day chooses."""
        width = KEYS * SIZES[MIDDLE] // self.total
        free = KEYS - width * (len(self.parts) - 1)
        digest = hashlib.sha256(f"{self.kind.name}:{self.day}".encode()).digest()
        start = int.from_bytes(digest[:16]) * free // KEYS + width * (part - MIDDLE)
        return uuid.UUID(int=start), uuid.UUID(int=min(start + width, KEYS - 1))


def day_sample(kind: CompiledKind, *, seconds: float = SECONDS) -> DaySample | None:
    """The sample of today; None if there is none yet and drawing it takes longer than `seconds`."""
    kept = caches["default"].get(_name(kind))
    if isinstance(kept, bytes):
        stored = msgspec.json.decode(kept, type=_Stored)
        return DaySample(kind=kind, day=stored.day, total=stored.total, is_random=stored.is_random)
    try:
        with TimeLimit(kind.rows().db, seconds).statements():
            return draw(kind, kept_seconds=UNASKED_SECONDS)
    except TimeIsUp:
        return None


def draw(
    kind: CompiledKind, *, day: str | None = None, kept_seconds: int = KEPT_SECONDS
) -> DaySample:
    """Draw the sample of a day (today) and store it."""
    day = day or timezone.localdate().isoformat()
    rows = kind.rows().order_by()
    total = rows.count()
    digest = MD5(Concat(kind.key_text, Value(day), output_field=TextField()))
    hashed = rows.annotate(sample_hash=digest).order_by("sample_hash")
    wanted = sum(SIZES)
    share = (wanted + SPARE * math.sqrt(wanted)) / max(total, 1)
    if share < 1:
        hashed = hashed.filter(sample_hash__lt=f"{int(share * HASHES):08x}")
    found = [_as_json(kind, key) for key in hashed.values_list(kind.key, flat=True)[: sum(SIZES)]]
    is_large = total > sum(SIZES)
    has_uuids = kind.key_field.get_internal_type() == "UUIDField"
    is_random = is_large and has_uuids and _are_random(found)
    cache, start = caches["default"], 0
    for part, size in enumerate(SIZES[:MIDDLE] if is_random else SIZES):
        text = f"[{','.join(found[start : start + size])}]"
        cache.set(_name(kind, day, part), text, kept_seconds)
        start += size
    stored = _Stored(day=day, total=total, is_random=is_random)
    cache.set(_name(kind), msgspec.json.encode(stored), kept_seconds)
    return DaySample(kind=kind, day=day, total=total, is_random=is_random)


def _are_random(keys: list[str]) -> bool:
    """Whether UUIDs, as JSON, are all of version 4 and evenly spread. They must be a sample by their hashes.

    Keys of another version follow the time, and others may be counted up whatever their version is, be it only
    those of one import, which a range would have all of or none.
    """
    if not keys or any(key[VERSION_PLACE] != "4" for key in keys):
        return False
    places = sorted(int(key[1:9], 16) / HASHES for key in keys)
    size = len(places)
    apart = max(max(place - n / size, (n + 1) / size - place) for n, place in enumerate(places))
    closest = min(
        (b - a for a, b in zip(places, places[NEIGHBOURS - 1 :], strict=False)), default=1
    )
    return apart * math.sqrt(size) < MOST_DISTANCE and closest * size > CLOSEST


def _name(kind: CompiledKind, *of_part: object) -> str:
    return ":".join(map(str, (CACHE_KEY, kind.name, *of_part)))


def _as_json(kind: CompiledKind, key: object) -> str:
    return str(key) if kind.has_integer_keys else json.dumps(str(key), ensure_ascii=False)


class InSample(Func):
    """The key is in a JSON list, which is one parameter. `field`: of the key.

    PostgreSQL gets it as an array, whose length it knows: it reads the table in its own order then, or the
    whole of a table for which that is cheaper.
    """

    output_field = BooleanField()
    arity = 1

    def __init__(self, key: Any, keys: str, field: Field[Any, Any], **extra: Any) -> None:
        super().__init__(key, **extra)
        self.keys = keys
        self.key_field = field

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *_args: Any,
        **_options: Any,
    ) -> Any:
        sql, params = compiler.compile(self.source_expressions[0])
        if connection.vendor != "sqlite":
            column_type = self.key_field.rel_db_type(connection)
            return f"({sql} = ANY(%s::{column_type}[]))", [*params, _as_array(self.keys)]
        keys = self.keys
        if self.key_field.get_internal_type() == "UUIDField":
            # SQLite stores the 32 digits alone.
            keys = keys.replace("-", "")
        return f"({sql} IN (SELECT value FROM JSON_EACH(%s)))", [*params, keys]  # noqa: S608 - no value is in the text


def _as_array(keys: str) -> str:
    """A JSON list of texts or numbers as PostgreSQL writes arrays."""
    if "\\" not in keys:
        # Quotes mean the same there.
        return f"{{{keys[1:-1]}}}"
    quoted = (key.replace("\\", "\\\\").replace('"', '\\"') for key in json.loads(keys))
    return "{" + ",".join(f'"{key}"' for key in quoted) + "}"
