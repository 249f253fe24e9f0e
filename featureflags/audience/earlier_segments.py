"""A segment as it was at an earlier moment, as far as the database still knows: with today's users,
rules and attributes, with the dates and ages of then, and without the memberships made since.

Hidden SQL: `without_new_members` asks one query.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import Q

from featureflags.audience.sql.bounds import Bounds, Condition, any_of, negation
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import to_datetime
from featureflags.core.uncached import fresh_rows
from featureflags.models import SegmentMember
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset


class EarlierSegment:
    """A segment at an earlier moment (µs). A user without an account then was outside."""

    def __init__(self, *, ruleset: Ruleset, key: str, since: int) -> None:
        self._ruleset = ruleset
        self._key = key
        self._since = since
        self._began = kind_of_segment(ruleset, key).created
        self.inside = SegmentCompiler(ruleset, now=since).segment(key)

    def outside(self, now_inside: Bounds) -> Condition:
        """Of the users who can be inside now, those who can have been outside."""
        began = self._began
        since = to_datetime(self._since)
        created = False if began is None else Q(**{f"{began}__gte": since})
        if now_inside.exact and now_inside == self.inside:
            # Neither a date nor a membership makes a difference. An index finds these.
            return created
        return any_of([created, negation(self.inside.lower)])

    def was_outside(self, user: Any) -> bool:
        began = getattr(user, self._began or "", None)
        if began is not None and began >= self._since:
            return True
        attributes = attributes_of(user, self._since)
        return not self._ruleset.matches(self._key, attributes, now=self._since)


def without_new_members(ruleset: Ruleset, key: str, since: int) -> Ruleset:
    """The same rules without the memberships that were made after `since` (µs): one query."""
    if key not in ruleset.definitions:
        return ruleset
    keys = [segment.definition.key for segment in ruleset.with_dependencies(key)]
    rows = SegmentMember.objects.filter(segment__key__in=keys, created_at__gte=to_datetime(since))
    new: dict[str, set[str]] = {}
    with fresh_rows():
        for segment_key, user, row_key in rows.values_list("segment__key", "user_id", "key"):
            new.setdefault(segment_key, set()).add(row_key or str(user))
    if not new:
        return ruleset
    definitions = {
        definition.key: _without(definition, new.get(definition.key, set()))
        for definition in ruleset.definitions.values()
    }
    return ruleset.evolve(definitions.values(), version=ruleset.version)


def _without(definition: SegmentDefinition, users: set[str]) -> SegmentDefinition:
    if not users:
        return definition
    return replace(
        definition,
        included={key: end for key, end in definition.included.items() if key not in users},
        excluded={key: end for key, end in definition.excluded.items() if key not in users},
    )
