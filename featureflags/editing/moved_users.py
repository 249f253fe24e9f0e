"""Counts who enters and leaves by a change, before it is made or after.

Hidden SQL: what `featureflags.audience.impact` asks, the members of the segment, and two queries
for each level of the segments that its rules name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping

from django.db import transaction

from featureflags.audience.impact import impact_of, impact_on
from featureflags.audience.parts import Impact, Part
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.editing.changes import Change, stored_members
from featureflags.editing.documents import SegmentDocument, document_of, read_segments
from featureflags.models.changesets import MemberState, Moved, SegmentState
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.references import references
from featureflags.segments.ruleset import Ruleset

logger = logging.getLogger(__name__)

NOBODY = Part(at_least=0, is_exact=True)


def count_moved(changes: Mapping[int, Change]) -> dict[int, Moved]:
    """Who entered and left each of these segments (by id).

    A count never makes a save fail. All of them together take `IMPACT_SECONDS` at most: past that
    the numbers are lower bounds, or a segment is missing from the result.
    """
    ends = time.monotonic() + app_settings().impact_seconds
    found: dict[int, Moved] = {}
    for pk, change in changes.items():
        moved = _counted(change, ends - time.monotonic())
        if moved is not None:
            found[pk] = moved
    return found


def _counted(change: Change, seconds: float) -> Moved | None:
    has_users = any(not one.account_deleted for one in change.members.values())
    if not change.moves_by_rules and change.members and not has_users:
        # Deleted accounts cannot be counted any more.
        return None
    if change.moves_by_rules and seconds <= 0:
        return None
    try:
        # A failure in here is rolled back to this savepoint.
        with transaction.atomic():
            return impact_of_change(change, seconds=seconds).moved
    except Exception as error:  # noqa: BLE001 - no error of the count may stop the change
        message = "Could not count the users that a change of a segment moves: %s"
        report(logger, "impact_uncounted", message, type(error).__name__)
        return None


def impact_of_change(change: Change, *, seconds: float) -> Impact:
    """Who enters and leaves by a change.

    If only memberships change, only their users are counted, and the numbers are exact. `seconds` limits the count over all users.
    """
    if not change.moves_by_rules and not change.members:
        return Impact(
            key=change.key, users=NOBODY, matching=NOBODY, entering=NOBODY, leaving=NOBODY
        )
    old, new = _members(change)
    document = None if change.after is None else document_of(change.after, new)
    before = _ruleset_before(change, old, document)
    after = _in_force(change, change.after, new)
    if change.moves_by_rules:
        return impact_of(after, before=before, seconds=seconds)
    return impact_on(after, [str(user) for user in change.members], before=before)


def definitions_of(change: Change) -> tuple[SegmentDefinition, SegmentDefinition]:
    """The segment in force before and after; without it, one that nobody is in. Two queries at most.

    If only memberships change, both hold only those that differ.
    """
    old, new = _members(change)
    return _in_force(change, change.before, old), _in_force(change, change.after, new)


def _in_force(
    change: Change, state: SegmentState | None, members: Mapping[str, MemberState]
) -> SegmentDefinition:
    if state is None:
        return SegmentDefinition(key=change.key, kind=change.state.kind)
    return document_of(state, members).in_force


def _ruleset_before(
    change: Change, members: Mapping[str, MemberState], after: SegmentDocument | None
) -> Ruleset:
    """The segment before the change, with the segments that its rules name before or after."""
    before = None if change.before is None else document_of(change.before, members)
    documents = _named_segments([one for one in (before, after) if one is not None])
    documents.pop(change.key, None)
    if before is not None:
        documents[change.key] = before
    return Ruleset(document.in_force for document in documents.values())


def _named_segments(documents: Collection[SegmentDocument]) -> dict[str, SegmentDocument]:
    """The stored segments that these rules name, directly or through others."""
    found: dict[str, SegmentDocument] = {}
    asked: set[str] = set()
    while documents:
        names = {name for one in documents for name in references(one.definition.rules)} - asked
        asked |= names
        more = read_segments(names) if names else {}
        found |= more
        documents = list(more.values())
    return found


def _members(change: Change) -> tuple[dict[str, MemberState], dict[str, MemberState]]:
    """The members before and after; if only memberships change, only those that differ."""
    differ = {str(user): one for user, one in change.members.items()}
    stays: dict[str, MemberState] = {}
    if change.moves_by_rules and change.after is not None and change.before is not None:
        members = stored_members(change.key)
        stays = {user: state for user, state in members.items() if user not in differ}
    old = {user: one.before for user, one in differ.items() if one.before is not None}
    new = {user: one.after for user, one in differ.items() if one.after is not None}
    return {**stays, **old}, {**stays, **new}
