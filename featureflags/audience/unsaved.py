"""A segment as an editor holds it: with rules and members that are not saved, and the stored members.

Hidden SQL: one query for the members, and one for the salt where a rule has a percentage; never from a
cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from featureflags.core.times import to_microseconds
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import USER
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState
from featureflags.models.stored_forms import in_stored_form
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import parse_rules

NO_MEMBERS: Final[Mapping[str, MemberState]] = MappingProxyType({})


def unsaved_segment(
    key: str,
    raw_rules: object,
    *,
    kind: str = USER,
    is_active: bool = True,
    bucket_key: str = "",
    salt: str | None = None,
    members: Mapping[str, MemberState] = NO_MEMBERS,
) -> SegmentDefinition:
    """The segment `key` of a kind with these rules and its stored members; an inactive one has no members.

    `bucket_key`: the key that a new segment will have. `salt`: None for the stored one. Its percentages
    depend on both. `members`: memberships that are not saved either, by key; they take the place of stored ones.
    The rules get the form in which they would be saved. Raises InvalidDefinition for rules that
    cannot be parsed. It does not validate them.
    """
    rules = parse_rules(in_stored_form(raw_rules, kind)[0], kind)
    if not is_active:
        return SegmentDefinition(key=key, kind=kind)
    if salt is None:
        salt = _stored_salt(key) if any(rule.weight is not None for rule in rules) else ""
    stored = _with_members(key, members)
    return replace(stored, kind=kind, rules=rules, salt=salt, bucket_key=bucket_key)


def _stored_salt(key: str) -> str:
    with fresh_rows():
        return Segment.objects.filter(key=key).values_list("salt", flat=True).first() or ""


def _with_members(key: str, unsaved: Mapping[str, MemberState]) -> SegmentDefinition:
    """The members, since when and until when (µs): one query, never cached."""
    rows = SegmentMember.objects.filter(segment__key=key).order_by()
    columns = ("user_id", "key", "kind", "starts_at", "expires_at")
    with fresh_rows():
        found = {
            row_key or str(user): (kind, starts, ends)
            for user, row_key, kind, starts, ends in rows.values_list(*columns)
        }
    for row_key, state in unsaved.items():
        found[row_key] = (state.kind, state.starts_at, state.expires_at)
    included: dict[str, int | None] = {}
    excluded: dict[str, int | None] = {}
    begins: dict[str, int] = {}
    for row_key, (kind, starts, ends) in found.items():
        side = included if kind == SegmentMember.Kind.INCLUDE else excluded
        side[row_key] = None if ends is None else to_microseconds(ends)
        if starts is not None:
            begins[row_key] = to_microseconds(starts)
    return SegmentDefinition(key=key, included=included, excluded=excluded, begins=begins)
