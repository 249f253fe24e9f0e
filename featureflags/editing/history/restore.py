"""What restoring a history entry takes. A restore is a change like any other, with its own entry.

Hidden SQL: the segment and its members, and the memberships that changed since the entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.utils import timezone

from featureflags.editing.about import known_owners
from featureflags.editing.changes import Change, member_changes, stored_members
from featureflags.editing.history.entries import members_undone, state_after, state_before
from featureflags.models import HistoryEntry, Segment
from featureflags.models.changesets import MemberState
from featureflags.models.stored_forms import in_stored_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """The change that restores an entry of the history."""

    entry: HistoryEntry
    change: Change
    """Its `before` is None if the segment is deleted, and is created again."""
    ended: int
    """Memberships that have ended since, which are not restored."""

    @property
    def permissions(self) -> list[str]:
        """Django's permissions that it takes."""
        wanted = ["change_segment" if self.change.before is not None else "add_segment"]
        if self.change.members:
            wanted += [f"{verb}_segmentmember" for verb in ("add", "change", "delete")]
        return [f"featureflags.{name}" for name in wanted]


def restoration(entry: HistoryEntry) -> Restoration:
    """The change that makes the segment what it was after this entry; after a deletion, what it
    was before it."""
    deleted = entry.after is None
    wanted = state_before(entry) if deleted else state_after(entry)
    if wanted is None:
        raise ValueError("a history entry has a definition before or after it")
    stored = Segment.objects.fresh(wanted.key)
    now = None if stored is None else stored.as_state()
    current = stored_members(wanted.key)
    # Undo the deletion itself too.
    since = entry.pk - 1 if deleted else entry.pk
    then = members_undone(wanted.key, current, since=since)
    lasting = {
        user: state for user, state in then.items() if current.get(user) == state or _lasts(state)
    }
    after = replace(wanted, rules=in_stored_form(wanted.rules, wanted.kind)[0])
    if wanted.owner not in known_owners([wanted.owner]):
        after = replace(after, owner="")
    change = Change(
        before=now,
        after=after,
        members=member_changes(current, lasting, wanted.kind),
        expected_version=None if now is None else now.version,
        restores=entry.pk,
    )
    return Restoration(entry=entry, change=change, ended=len(then) - len(lasting))


def _lasts(state: MemberState) -> bool:
    return state.expires_at is None or state.expires_at > timezone.now()
