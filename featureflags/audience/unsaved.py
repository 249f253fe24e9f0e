"""A segment as an editor holds it: with rules that are not saved, and the stored members.

Hidden SQL: one query for the members, never from a cache.
"""

from __future__ import annotations

from collections.abc import Mapping

from featureflags.core.times import to_microseconds
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import USER
from featureflags.models import SegmentMember
from featureflags.models.stored_forms import in_stored_form
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import parse_rules


def unsaved_segment(
    key: str, raw_rules: object, *, kind: str = USER, is_active: bool = True
) -> SegmentDefinition:
    """The segment `key` of a kind with these rules and its stored members; an inactive one has no members.

    The rules get the form in which they would be saved. Raises InvalidDefinition for rules that
    cannot be parsed. It does not validate them.
    """
    rules = parse_rules(in_stored_form(raw_rules, kind)[0], kind)
    if not is_active:
        return SegmentDefinition(key=key, kind=kind)
    included, excluded = _stored_members(key)
    return SegmentDefinition(key=key, kind=kind, rules=rules, included=included, excluded=excluded)


def _stored_members(key: str) -> tuple[Mapping[str, int | None], Mapping[str, int | None]]:
    """The keys that are included and excluded, and until when (µs): one query, never cached."""
    included: dict[str, int | None] = {}
    excluded: dict[str, int | None] = {}
    rows = SegmentMember.objects.filter(segment__key=key).order_by()
    with fresh_rows():
        for user, row_key, kind, ends in rows.values_list("user_id", "key", "kind", "expires_at"):
            side = included if kind == SegmentMember.Kind.INCLUDE else excluded
            side[row_key or str(user)] = None if ends is None else to_microseconds(ends)
    return included, excluded
