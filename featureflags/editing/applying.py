"""Writes changes that were examined: all of them in one changeset, or none.

Hidden SQL for each change: the row of the segment, one statement that writes it with the ruleset
version, and three for the memberships that differ, however many. Several rows are written together: see
`featureflags.models.saving`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from featureflags.core.types import Account, AccountKey
from featureflags.core.uncached import fresh_rows
from featureflags.editing.changes import Change, MemberChange
from featureflags.editing.examining import Examination
from featureflags.kinds.registry import USER, user_kind
from featureflags.models import (
    RulesetVersion,
    Segment,
    SegmentMember,
    StaleSegment,
    save_all,
    segment_graph,
)
from featureflags.models.changesets import CURRENT_USER, SegmentState, open_changeset

BATCH: Final = 500
"""Rows that one statement updates."""

COLUMNS: Final = (
    *("name", "description", "is_active", "rules", "salt", "tags", "owner", "is_archived"),
)
MEMBER_COLUMNS: Final = ("kind", "reason", "starts_at", "expires_at")


class NeedsApproval(ValidationError):
    """A change was to be written that somebody else must approve first."""

    def __init__(self, keys: list[str]) -> None:
        message = _("A flag that is on uses %s: somebody else must approve this change.")
        super().__init__(message % ", ".join(keys), code="needs_approval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Why a change may be written that needs an approval."""

    author: Account | None = None
    """Who proposed it; None: a command."""
    approver: Account | None = None
    is_emergency: bool = False
    """It is written without an approval, by the person of the request."""


def apply(
    *examined: Examination,
    source: str,
    note: str = "",
    row: Segment | None = None,
    approval: Approval | None = None,
) -> list[Segment]:
    """Write these changes and return the rows of their segments.

    `source` and `note` go into the history. `row`: the object to save, where the caller holds one.
    Raises NeedsApproval without the `approval` that a change needs, ValidationError where the models
    refuse a change, its StaleSegment where somebody else has saved in between, and ProtectedError where a
    segment to delete is used by another one. Nothing is written then.
    """
    moved = {each.key: each.moved for each in examined if not each.change.is_nothing}
    restores = next((each.change.restores for each in examined), None)
    unapproved = [each.key for each in examined if each.needs_approval]
    is_emergency = approval is not None and approval.is_emergency
    approver = None if approval is None else approval.approver
    if unapproved and approver is None and not is_emergency:
        raise NeedsApproval(unapproved)
    with open_changeset(
        actor=CURRENT_USER if approval is None or is_emergency else approval.author,
        note=note,
        source=source,
        restores=restores,
        moved=moved,
        approved_by=approver,
        emergencies=unapproved if is_emergency else (),
    ):
        changes = [each.change for each in examined]
        if len(changes) > 1 and all(change.after is not None for change in changes):
            return _write_together(changes)
        graph = _graph_of_deletions(changes)
        return [_write(change, row, graph) for change in changes]


def _graph_of_deletions(changes: Sequence[Change]) -> dict[str, frozenset[str]] | None:
    """Which segment names which, read once where nothing but several deletions is written, else None."""
    if len(changes) < 2 or any(change.after is not None for change in changes):
        return None
    RulesetVersion.lock()
    return dict(segment_graph())


def refuse_invalid(change: Change) -> None:
    """Raises ValidationError or ProtectedError for what the models would refuse of it now, but for members."""
    segment = _stored_row(change)
    if change.after is None:
        segment.refuse_if_named()
    elif not change.is_of_members_only:
        _fill(segment, change, change.after)
        with fresh_rows():
            segment.clean()


def _write(change: Change, row: Segment | None, graph: dict[str, frozenset[str]] | None) -> Segment:
    segment = row or _stored_row(change)
    if change.after is None:
        if segment.pk is not None:
            segment.known_graph = graph
            segment.delete()
            segment.known_graph = None
            if graph is not None:
                graph.pop(change.key, None)
        return segment
    if not change.is_of_members_only:
        _fill(segment, change, change.after)
        only = {} if change.columns is None else {"update_fields": change.columns}
        segment.save(expected_version=change.expected_version, **only)
    _write_members([(segment, change.members)])
    return segment


def _write_together(changes: Sequence[Change]) -> list[Segment]:
    RulesetVersion.lock()
    found: dict[str, Segment] = {}
    keys = [change.key for change in changes if change.before is not None]
    with fresh_rows():
        for start in range(0, len(keys), BATCH):
            rows = Segment.objects.filter(key__in=keys[start : start + BATCH])
            found |= {row.key: row for row in rows}
    segments = []
    for change in changes:
        if change.before is None:
            segment = Segment(key=change.key, kind=change.state.kind)
        elif change.key in found:
            segment = found[change.key]
        else:
            raise StaleSegment(change.key, change.before.version)
        segments.append(segment)
        if change.after is not None and not change.is_of_members_only:
            _fill(segment, change, change.after)
    both = list(zip(segments, changes, strict=True))
    save_all(
        [segment for segment, change in both if not change.is_of_members_only],
        columns={name for change in changes for name in change.columns or COLUMNS},
        versions={change.key: change.expected_version for change in changes},
    )
    _write_members([(segment, change.members) for segment, change in both])
    return segments


def _fill(segment: Segment, change: Change, state: SegmentState) -> None:
    for name in COLUMNS if change.columns is None else change.columns:
        _set(segment, name, getattr(state, name))


def _set(segment: Segment, name: str, value: Any) -> None:
    if name == "owner":
        segment.owner_id = user_kind().parse_key(value) if value else None
    else:
        setattr(segment, name, list(value) if name == "tags" else value)


def _stored_row(change: Change) -> Segment:
    """Raises StaleSegment if the segment is gone."""
    new = Segment(key=change.key, kind=change.state.kind)
    if change.before is None:
        return new
    row = Segment.objects.fresh(change.key)
    if row is None and change.after is not None:
        raise StaleSegment(change.key, change.before.version)
    return row or new


def _write_members(wanted: Sequence[tuple[Segment, Mapping[AccountKey, MemberChange]]]) -> None:
    """Update a membership in place, so that it keeps the time at which it was made."""
    gone: list[int] = []
    changed: list[SegmentMember] = []
    new: list[SegmentMember] = []
    for segment, members in wanted:
        rows = _stored_members(segment, list(members))
        named = "user_id" if segment.kind == USER else "key"
        for user, one in members.items():
            row = rows.get(user)
            if one.after is None:
                gone += [] if row is None else [row.pk]
                continue
            made = row or SegmentMember(segment=segment, **{named: user})
            (new if row is None else changed).append(_filled(made, one))
    if gone:
        SegmentMember.objects.filter(pk__in=gone).delete()
    if changed:
        SegmentMember.objects.bulk_update(changed, MEMBER_COLUMNS, BATCH)
    if new:
        SegmentMember.objects.bulk_create(new)


def _stored_members(
    segment: Segment, keys: Sequence[AccountKey]
) -> dict[AccountKey, SegmentMember]:
    column = "user" if segment.kind == USER else "key"
    with fresh_rows():
        return {
            row.row_key: row
            for start in range(0, len(keys), BATCH)
            for row in SegmentMember.objects.filter(
                segment=segment, **{f"{column}__in": keys[start : start + BATCH]}
            )
        }


def _filled(row: SegmentMember, one: MemberChange) -> SegmentMember:
    """What the change differs in; the rest stays as somebody else may have saved it meanwhile."""
    for name in MEMBER_COLUMNS:
        wanted = getattr(one.after, name)
        if one.before is None or getattr(one.before, name) != wanted:
            setattr(row, name, wanted)
    return row
