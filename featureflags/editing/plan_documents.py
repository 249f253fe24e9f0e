"""A change as JSON, for a planned change, and the same change of what is stored when it is to be made.

    {"before": {…}, "after": {…}, "restores": null,
     "members": {"9d1c5c9e-…": [null, {"kind": "include", "reason": "", "startsAt": null, "expiresAt": null}]}}

Hidden SQL: `on_what_is_stored` asks for the segment, its members that the change names, and which of them
still exist.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from featureflags.core.types import AccountKey, JSONValue
from featureflags.editing.about import dump_state, load_state
from featureflags.editing.applying import COLUMNS
from featureflags.editing.changes import (
    Change,
    MemberChange,
    member_changes,
    place_key,
    stored_members,
)
from featureflags.editing.member_lookup import chunks
from featureflags.kinds.registry import kind_named
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState, SegmentState
from featureflags.segments.export import dump_rules
from featureflags.segments.parsing import load_rules


class NotPossible(Exception):
    """The change cannot be made any more. The message gives the reason in a sentence."""

    reason = "conflict"
    """For notices."""


class NotValid(NotPossible):
    """The models would refuse it as things are now."""

    reason = "invalid"


def dump_change(change: Change) -> dict[str, JSONValue]:
    """A change as JSON. The version that it was made against is that of `before`."""
    return {
        "before": None if change.before is None else dump_state(change.before),
        "after": None if change.after is None else dump_state(change.after),
        "members": {
            str(row): [_dump_member(one.before), _dump_member(one.after)]
            for row, one in change.members.items()
        },
        "restores": change.restores,
    }


def load_change(dumped: Mapping[str, Any]) -> Change:
    """The inverse of `dump_change`."""
    before, after = (
        None if dumped[name] is None else load_state(dumped[name]) for name in ("before", "after")
    )
    change = Change(before=before, after=after, restores=dumped["restores"])
    kind = change.state.kind
    members = {
        place_key(row, kind): MemberChange(before=_load_member(old), after=_load_member(new))
        for row, (old, new) in dumped["members"].items()
    }
    return replace(change, members=members)


def _dump_member(state: MemberState | None) -> dict[str, JSONValue] | None:
    if state is None:
        return None
    return {
        "kind": state.kind,
        "reason": state.reason,
        "startsAt": None if state.starts_at is None else state.starts_at.isoformat(),
        "expiresAt": None if state.expires_at is None else state.expires_at.isoformat(),
    }


def _load_member(dumped: Mapping[str, Any] | None) -> MemberState | None:
    if dumped is None:
        return None
    return MemberState(
        kind=dumped["kind"],
        reason=dumped["reason"],
        starts_at=_instant(dumped["startsAt"]),
        expires_at=_instant(dumped["expiresAt"]),
    )


def _instant(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def on_what_is_stored(planned: Change) -> Change:
    """The same change, of the segment as it is now: it keeps what others have changed elsewhere in it.

    Raises NotPossible where others have changed the same field or membership.
    """
    row = Segment.objects.fresh(planned.key)
    stored = None if row is None else row.as_state()
    if planned.before is None and stored is not None:
        raise NotPossible(_("A segment with this key was created in the meantime."))
    if planned.before is not None and stored is None:
        raise NotPossible(_("The segment was deleted in the meantime."))
    if stored is not None and stored.kind != planned.state.kind:
        raise NotPossible(
            _("The segment was deleted, and one of another kind created with its key.")
        )
    version = None if stored is None else stored.version
    if planned.after is None:
        members = member_changes(stored_members(planned.key), {}, planned.state.kind)
        return replace(planned, before=stored, members=members, expected_version=version)
    return replace(
        planned,
        before=stored,
        after=planned.after if stored is None else _merged(planned, stored),
        members=_members_left(planned, None if row is None else row.pk),
        expected_version=version,
    )


def _merged(planned: Change, stored: SegmentState) -> SegmentState:
    if planned.before is None or planned.after is None:
        return stored
    wanted: dict[str, Any] = {}
    for name in COLUMNS:
        base, mine, theirs = (
            getattr(state, name) for state in (planned.before, planned.after, stored)
        )
        if name == "rules":
            base, mine, theirs = (_in_one_form(each, stored.kind) for each in (base, mine, theirs))
        if _same(base, mine):
            continue
        if not _same(base, theirs) and not _same(mine, theirs):
            field: Any = Segment._meta.get_field(name)
            text = _("The same field was changed in the meantime: %s.")
            raise NotPossible(text % field.verbose_name)
        wanted[name] = getattr(planned.after, name)
    return replace(stored, **wanted)


def _in_one_form(rules: JSONValue, kind: str) -> JSONValue:
    """Rules as an import writes them; those that are broken stay as they are."""
    parsed, problems = load_rules(rules, kind)
    return rules if problems else dump_rules(parsed)


def _same(one: object, other: object) -> bool:
    # As JSON text, True and 1 stay apart.
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(
        other, sort_keys=True, default=str
    )


def _members_left(planned: Change, segment: int | None) -> dict[AccountKey, MemberChange]:
    """What is still to be done about members; nothing for rows that are deleted."""
    places = [(segment or 0, row) for row in planned.members]
    stored = SegmentMember.objects.all().states_at(places) if segment is not None else {}
    known = _existing([str(row) for row in planned.members], planned.state.kind)
    left: dict[AccountKey, MemberChange] = {}
    for row, one in planned.members.items():
        now = stored.get((segment or 0, row))
        if str(row) not in known or now == one.after:
            continue
        if now != one.before:
            raise NotPossible(_("The same membership was changed in the meantime."))
        left[row] = replace(one, before=now)
    return left


def _existing(keys: Sequence[str], name: str) -> set[str]:
    kind = kind_named(name)
    return set() if kind is None else {key for some in chunks(keys) for key in kind.existing(some)}
