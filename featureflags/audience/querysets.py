"""The rows in a segment as a filter on any queryset of their kind: users in one of users.

Hidden SQL: the rules are read if they have changed. Where SQL cannot express a rule, the users for
whom it cannot decide are read in batches and judged in Python, and the filter names their keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.contrib.auth.models import PermissionsMixin
from django.db.models import F, Q, QuerySet
from django.urls import reverse

from featureflags.audience.sql.bounds import Bounds, Condition, any_of, negation, to_q
from featureflags.audience.sql.clauses import key_condition
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER
from featureflags.kinds.segmentation import Users
from featureflags.models import Segment
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset

BATCH: Final = 2_000
"""Users that are read at once where Python decides."""


class Resolver:
    """Answers `rows.in_segment` and its like; see `featureflags.kinds.segmentation`.

    Rows of another model than that of the segment's kind are not in it.
    """

    def members(self, users: Users, segment: object, now: int | None) -> Users:
        """The users in the segment."""
        return users.filter(to_q(_finished(users, segment, now)))

    def others(self, users: Users, segment: object, now: int | None) -> Users:
        """The users who are not in the segment."""
        return users.filter(to_q(negation(_finished(users, segment, now))))

    def choices(self, viewer: object, most: int) -> list[tuple[str, str]]:
        """Keys and names of the first segments of users, if the viewer may see them."""
        if not isinstance(viewer, PermissionsMixin):
            return []
        permissions = ("featureflags.view_segment", "featureflags.change_segment")
        if not any(viewer.has_perm(permission) for permission in permissions):
            return []
        rows = Segment.objects.filter(kind=USER).order_by("key").values_list("key", "name")
        return [(key, f"{name} ({key})") for key, name in rows[:most]]

    def finder(self) -> str:
        """See `featureflags.admin.shared.segment_finder`."""
        return f"{reverse('admin:featureflags_segments_found')}?kind={USER}"


def ruleset_with(segment: object) -> tuple[Ruleset, str]:
    """The rules in force with this definition, and its key.

    Raises InvalidDefinition for JSON that is not a definition, and TypeError for anything else.
    """
    ruleset = known_ruleset().ruleset
    if isinstance(segment, str):
        return ruleset, segment
    if isinstance(segment, Mapping):
        segment = parse_definition(dict(segment))
    if not isinstance(segment, SegmentDefinition):
        raise TypeError(f"a segment is a key, a definition or its JSON, not {segment!r}")
    definitions = {**ruleset.definitions, segment.key: segment}
    return ruleset.evolve(definitions.values(), version=ruleset.version), segment.key


def batches(users: QuerySet[Any], kind: CompiledKind) -> Iterator[list[Any]]:
    """Snapshots of all these rows of a kind in the order of their keys: one query for each batch."""
    ordered = users.order_by(kind.key)
    batch = kind.snapshots(ordered[:BATCH])
    while batch:
        yield batch
        if len(batch) < BATCH:
            return
        passed = {f"{kind.key}__gt": kind.parse_key(batch[-1].key)}
        batch = kind.snapshots(ordered.filter(**passed)[:BATCH])


def _finished(users: QuerySet[Any], segment: object, now: int | None) -> Condition:
    now = now_in_microseconds() if now is None else now
    ruleset, key = ruleset_with(segment)
    kind = kind_of_segment(ruleset, key)
    if users.model._meta.concrete_model is not kind.model._meta.concrete_model:
        return False
    bounds = SegmentCompiler(ruleset, now=now).segment(key)
    if bounds.exact:
        return bounds.lower
    found = [
        user.key
        for batch in batches(_same_rows(users, kind).filter(in_doubt(bounds)), kind)
        for user in batch
        if ruleset.matches(key, attributes_of(user, now), now=now)
    ]
    return any_of([bounds.lower, key_condition(F(kind.key), found, kind)])


def in_doubt(bounds: Bounds) -> Q:
    """The users for whom SQL cannot decide."""
    return to_q(bounds.doubt)


def _same_rows(users: QuerySet[Any], kind: CompiledKind) -> QuerySet[Any]:
    """The rows of a queryset, without its columns, order and annotations."""
    everybody: QuerySet[Any] = kind.rows(users.db)
    if not users.query.where:
        return everybody
    return everybody.filter(pk__in=users.order_by().values("pk"))
