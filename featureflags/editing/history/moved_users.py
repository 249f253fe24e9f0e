"""How many users a change moves, counted where nobody has counted them yet.

A count never makes a save fail, and all counts of a change together take no longer than
`IMPACT_SECONDS`: past that the numbers are lower bounds, or there are none.

Hidden SQL: what `featureflags.audience.impact` asks, the members of the segment, and two queries for each
level of the segments that its rules name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping

from django.db import transaction

from featureflags.audience.impact import Impact, impact_of, impact_on
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.editing.changes import SegmentDelta
from featureflags.editing.documents import SegmentDocument, document_of, read_segments
from featureflags.models import SegmentMember
from featureflags.models.changesets import MemberState, Moved
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.references import references
from featureflags.segments.ruleset import Ruleset

logger = logging.getLogger(__name__)


def count_moved(deltas: Mapping[int, SegmentDelta]) -> dict[int, Moved]:
    """Who entered and left each of these segments (by id); one is missing if nobody could count."""
    ends = time.monotonic() + app_settings().impact_seconds
    found: dict[int, Moved] = {}
    for pk, delta in deltas.items():
        moved = _counted(pk, delta, ends - time.monotonic())
        if moved is not None:
            found[pk] = moved
    return found


def _counted(pk: int, delta: SegmentDelta, seconds: float) -> Moved | None:
    users = [str(user) for user, one in delta.members.items() if not one.account_deleted]
    if not delta.moves_by_rules and not users:
        # Of accounts that are deleted nobody is left to count.
        return None if delta.members else Moved(entering=0, leaving=0)
    if delta.moves_by_rules and seconds <= 0:
        return None
    try:
        # What fails in here is undone, and nothing around it.
        with transaction.atomic():
            return moved_by(impact_of_delta(pk, delta, seconds=seconds))
    except Exception as error:  # noqa: BLE001 - whatever it is, the change is what matters
        message = "It could not be counted whom a change of a segment moves: %s"
        report(logger, "impact_uncounted", message, type(error).__name__)
        return None


def impact_of_delta(pk: int | None, delta: SegmentDelta, *, seconds: float) -> Impact:
    """Whom a change of the segment with this id moves, whether or not it is made already.

    Where rules move nobody, the numbers are of those whose membership differs alone, and exact.
    """
    before, after = _ruleset_before(pk, delta), _definition_after(pk, delta)
    if delta.moves_by_rules:
        return impact_of(after, before=before, seconds=seconds)
    return impact_on(after, [str(user) for user in delta.members], before=before)


def moved_by(impact: Impact) -> Moved:
    """The numbers of an impact."""
    return Moved(
        entering=impact.entering.at_least,
        leaving=impact.leaving.at_least,
        at_least=not impact.is_exact,
    )


def _ruleset_before(pk: int | None, delta: SegmentDelta) -> Ruleset:
    """The segment as it was, among those that its rules name before or after."""
    before = None if delta.before is None else document_of(delta.before, _members(pk, delta)[0])
    after = None if delta.after is None else document_of(delta.after)
    documents = named_by([one for one in (before, after) if one is not None])
    documents.pop(delta.state.key, None)
    if before is not None:
        documents[delta.state.key] = before
    return Ruleset(document.in_force for document in documents.values())


def _definition_after(pk: int | None, delta: SegmentDelta) -> SegmentDefinition:
    if delta.after is None:
        return SegmentDefinition(key=delta.state.key)
    return document_of(delta.after, _members(pk, delta)[1]).in_force


def named_by(documents: Collection[SegmentDocument]) -> dict[str, SegmentDocument]:
    """The stored segments that the rules of these name, and that those name, and so on."""
    found: dict[str, SegmentDocument] = {}
    asked: set[str] = set()
    while documents:
        names = {name for one in documents for name in references(one.definition.rules)} - asked
        asked |= names
        more = read_segments(names) if names else {}
        found |= more
        documents = list(more.values())
    return found


def _members(
    pk: int | None, delta: SegmentDelta
) -> tuple[dict[str, MemberState], dict[str, MemberState]]:
    """The members before and after; where rules move nobody, those who differ are enough."""
    stays: dict[str, MemberState] = {}
    if delta.moves_by_rules and delta.after is not None and pk is not None:
        members = SegmentMember.objects.filter(segment=pk).states()
        stays = {
            str(user): state for (_, user), state in members.items() if user not in delta.members
        }
    old, new = dict(stays), dict(stays)
    for user, one in delta.members.items():
        if one.before is not None:
            old[str(user)] = one.before
        if one.after is not None:
            new[str(user)] = one.after
    return old, new
