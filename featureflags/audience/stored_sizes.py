"""Counts users and segments, and stores the numbers. Pages show these numbers and never count.

Hidden SQL: one pass over the users for 400 segments, and one statement for each table that a pass
writes. Where SQL cannot express a rule, users are read and judged in Python, unless there
is a time limit: then the size lies between two bounds.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from featureflags.audience.attribute_values import suggestions
from featureflags.audience.day_sample import draw
from featureflags.audience.size_jumps import Count, add_count, dump_counts, jump_to, load_counts
from featureflags.audience.sizes import SegmentSize as Counted
from featureflags.audience.sizes import SegmentSizes, segment_sizes
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.core.conf import app_settings
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import kinds, user_kind
from featureflags.models import (
    EventType,
    MailNotice,
    Segment,
    SegmentCount,
    SegmentSize,
    UserCount,
    Webhook,
)
from featureflags.segments.ruleset import Ruleset

KEPT_DAYS: Final = 90
"""After that, daily counts are deleted."""
LOOKS: Final = 3
"""Times that a count checks for segments that have changed since. The next hour does the rest."""
STORED_AT_ONCE: Final = 400
"""Segments that are counted and stored together: those of one pass."""
TRIES: Final = 3
"""Attempts to store sizes while others delete segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recounted:
    """The segments that were counted, by key."""

    segments: tuple[str, ...]
    late: tuple[str, ...] = ()
    """There was no time for these. Their size is marked as outdated."""

    def to_dict(self) -> dict[str, list[str]]:
        return {"segments": list(self.segments), "late": list(self.late)}


def count_everything() -> Recounted:
    """Count all users and all segments, renew samples and suggestions, and delete old daily counts."""
    ruleset = known_ruleset().ruleset
    _store_users()
    for kind in kinds():
        draw(kind)
        suggestions(kind.name, renew=True)
    recounted = _count(ruleset, list(ruleset.definitions))
    oldest = timezone.localdate() - datetime.timedelta(days=KEPT_DAYS)
    SegmentCount.objects.filter(day__lt=oldest).delete()
    UserCount.objects.filter(day__lt=oldest).delete()
    return recounted


def count_changed(seconds: float | None = None) -> Recounted:
    """Count the segments whose rules or members have changed, or those of a segment they name.

    With a time limit (`seconds`) a size may lie between two bounds. Without one it checks again
    afterwards: somebody may have saved in between, and of two counts at once the one with the older
    number may be stored last.
    """
    counted: set[str] = set()
    late: set[str] = set()
    for _ in range(1 if seconds is not None else LOOKS):
        ruleset = known_ruleset().ruleset
        known = dict(SegmentSize.objects.values_list("segment__key", "fingerprint"))
        changed = [
            key for key in ruleset.definitions if known.get(key) != fingerprint(ruleset, key)
        ]
        if not changed:
            break
        found = _count(ruleset, changed, seconds)
        counted |= set(found.segments)
        late |= set(found.late)
    return Recounted(segments=tuple(sorted(counted)), late=tuple(sorted(late)))


def fingerprint(ruleset: Ruleset, key: str) -> str:
    """SHA-256 (hex) of all rules and members that decide who is in a segment."""
    parts = [
        (
            definition.key,
            definition.rules,
            sorted(definition.included.items()),
            sorted(definition.excluded.items()),
            sorted(definition.begins.items()),
        )
        for segment in ruleset.with_dependencies(key)
        for definition in [segment.definition]
    ]
    return hashlib.sha256(repr(parts).encode(errors="backslashreplace")).hexdigest()


def _count(ruleset: Ruleset, keys: Sequence[str], seconds: float | None = None) -> Recounted:
    """Count and store these in parts, so that what one part has counted is kept."""
    now = now_in_microseconds()
    limit = None if seconds is None else TimeLimit(user_kind().rows().db, seconds)
    for start in range(0, len(keys), STORED_AT_ONCE):
        part = keys[start : start + STORED_AT_ONCE]
        try:
            found = _counted(ruleset, part, now, limit)
        except TimeIsUp:
            late = keys[start:]
            SegmentSize.objects.filter(segment__key__in=late).update(fingerprint="")
            return Recounted(segments=tuple(sorted(keys[:start])), late=tuple(sorted(late)))
        _store(found, {key: fingerprint(ruleset, key) for key in part})
    return Recounted(segments=tuple(sorted(keys)))


def _counted(
    ruleset: Ruleset, keys: Sequence[str], now: int, limit: TimeLimit | None
) -> SegmentSizes:
    """Raises TimeIsUp."""
    if limit is None:
        return segment_sizes(now=now, ruleset=ruleset, keys=keys)
    with limit.statements():
        return segment_sizes(now=now, ruleset=ruleset, keys=keys, finish=False)


def _store(found: SegmentSizes, fingerprints: dict[str, str]) -> None:
    for tried in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                _store_once(found, fingerprints)
        except IntegrityError:
            # A segment was deleted since we read which there are.
            if tried == TRIES:
                raise
        else:
            return


def _store_once(found: SegmentSizes, fingerprints: dict[str, str]) -> None:
    with fresh_rows():
        rows = list(Segment.objects.filter(key__in=fingerprints).values_list("key", "pk", "kind"))
    ids, kinds = {key: pk for key, pk, _ in rows}, {key: kind for key, _, kind in rows}
    # A segment may be gone by now.
    sizes = [size for size in found.sizes if size.key in ids]
    counted_at = timezone.now()
    recent = _announce_jumps(sizes, ids, kinds, int(counted_at.timestamp()))
    SegmentSize.objects.bulk_create(
        [
            SegmentSize(
                segment_id=ids[size.key],
                at_least=size.at_least,
                at_most=size.at_most,
                users=size.rows,
                fingerprint=fingerprints[size.key],
                counted_at=counted_at,
                recent=dump_counts(recent[size.key]),
            )
            for size in sizes
        ],
        update_conflicts=True,
        unique_fields=["segment"],
        update_fields=["at_least", "at_most", "users", "fingerprint", "counted_at", "recent"],
    )
    today = timezone.localdate()
    SegmentCount.objects.bulk_create(
        [
            SegmentCount(
                segment_key=size.key, day=today, at_least=size.at_least, at_most=size.at_most
            )
            for size in sizes
        ],
        update_conflicts=True,
        unique_fields=["segment_key", "day"],
        update_fields=["at_least", "at_most"],
    )


def _announce_jumps(
    sizes: Sequence[Counted], ids: Mapping[str, int], kinds: Mapping[str, str], now: int
) -> dict[str, list[Count]]:
    """Announce each size that jumped within the hour before `now` (seconds): one query, and one more if
    there are jumps. The counts to keep of each segment, by key."""
    stored = SegmentSize.objects.in_bulk([ids[size.key] for size in sizes])
    percent = app_settings().size_jump_percent
    jumps: list[dict[str, JSONValue]] = []
    kept: dict[str, list[Count]] = {}
    for size in sizes:
        count = Count(now, size.at_least, size.at_most)
        row = stored.get(ids[size.key])
        recent = [] if row is None else _recent(row)
        before = jump_to(count, recent, percent=percent)
        kept[size.key] = add_count(recent, count) if before is None else [count]
        if before is not None:
            jumps.append(
                {
                    "segment": size.key,
                    "kind": kinds[size.key],
                    "before": {**before.as_bounds()},
                    "now": {**count.as_bounds()},
                }
            )
    Webhook.objects.announce(EventType.SEGMENT_SIZE_JUMPED, jumps)
    for jump in jumps:
        MailNotice.objects.write_to_owner(EventType.SEGMENT_SIZE_JUMPED, str(jump["segment"]), jump)
    return kept


def _recent(row: SegmentSize) -> list[Count]:
    """The counts that a size keeps. A release before this one writes the size and leaves them as they are."""
    last = Count(int(row.counted_at.timestamp()), row.at_least, row.at_most)
    kept = load_counts(row.recent)
    return kept if kept and kept[-1] == last else [*kept, last]


def _store_users() -> None:
    kind, now = user_kind(), timezone.now()

    def seen(days: int) -> models.Count:
        since = now - datetime.timedelta(days=days)
        seen = Q() if kind.last_seen is None else Q(**{f"{kind.last_seen}__gte": since})
        return models.Count("pk", filter=seen if kind.active is None else kind.active & seen)

    counts = (
        kind.rows()
        .order_by()
        .aggregate(
            users=models.Count("pk"),
            seen_today=seen(1),
            seen_within_7_days=seen(7),
            seen_within_30_days=seen(30),
        )
    )
    UserCount.objects.update_or_create(
        day=timezone.localdate(now), defaults={**counts, "counted_at": now}
    )


def forget_segment(key: str) -> None:
    """Delete the daily counts of a deleted segment: another one may get its key."""
    SegmentCount.objects.filter(segment_key=key).delete()


def daily_counts(keys: Iterable[str], *, days: int = KEPT_DAYS) -> dict[str, list[SegmentCount]]:
    """The daily counts of some segments by key, the oldest first: one query."""
    since = timezone.localdate() - datetime.timedelta(days=days)
    found: dict[str, list[SegmentCount]] = {key: [] for key in keys}
    rows = SegmentCount.objects.filter(segment_key__in=list(found), day__gt=since)
    for row in rows.order_by("day"):
        found[row.segment_key].append(row)
    return found
