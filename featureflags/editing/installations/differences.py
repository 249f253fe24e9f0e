"""What differs between the segments here and those of another installation. Nothing is written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from featureflags.editing.change_sentences import change_in_words
from featureflags.editing.changes import Change, member_changes
from featureflags.editing.documents import SegmentDocument, read_segments
from featureflags.editing.installations.client import Installation
from featureflags.editing.installations.exchange import LeftOut, Received, receive
from featureflags.models.changesets import SegmentState

NOBODY = LeftOut()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One segment that is not the same on both sides; None: there is none on that side.

    Members and owners of there are those who are known here, by the keys of here.
    """

    key: str
    here: SegmentDocument | None
    there: SegmentDocument | None
    left_out: LeftOut = NOBODY
    """Whom the segment of there names, and who is nobody here."""
    problems: tuple[str, ...] = ()
    """Why it cannot be compared or promoted."""

    def may_go(self, *, to_there: bool) -> bool:
        """True if it is on the side that is read, or somebody must learn why it cannot be promoted."""
        read = self.here if to_there else self.there
        return bool(self.problems) or read is not None

    def change(self, *, to_there: bool, with_members: bool) -> Change:
        """What promoting it does to the side that is written to."""
        here, there = self._states(with_members=with_members)
        members = {}
        if with_members and not self.left_out.unnamed:
            one, other = (
                replace(each, reasons=None).members if each else {}
                for each in (self.here, self.there)
            )
            before, after = (other, one) if to_there else (one, other)
            members = member_changes(before, after, (self.here or self.there).definition.kind)  # type: ignore[union-attr]  # one of them is there
        old, new = (there, here) if to_there else (here, there)
        return Change(before=old, after=new, members=members)

    def lines(self, *, to_there: bool, with_members: bool, with_addresses: bool) -> list[str]:
        """In words, what would change on the side that is written to."""
        change = self.change(to_there=to_there, with_members=with_members)
        return change_in_words(change, with_addresses=with_addresses)

    @property
    def is_of_members_only(self) -> bool:
        """True if only members by name or the owner differ."""
        if self.here is None or self.there is None or self.problems:
            return False
        return self.change(to_there=True, with_members=False).is_nothing

    def _states(self, *, with_members: bool) -> tuple[SegmentState | None, SegmentState | None]:
        here = None if self.here is None else self.here.state
        there = None if self.there is None else self.there.state
        if not with_members:
            here = here and replace(here, owner="")
            there = there and replace(there, owner="")
        elif here and there and self.there and self.there.owner is None:
            there = replace(there, owner=here.owner)
        return here, there


def compare(other: Installation, *, seen: Collection[str] | None = None) -> list[Difference]:
    """What differs from another installation. `seen`: the kinds whose rows may be found by title; None: all.

    Raises InstallationError.
    """
    try:
        return differences(receive(other.segments(), seen=seen))
    except ValueError as error:
        raise other.another_form() from error


def differences(there: Received) -> list[Difference]:
    """Segments that differ in anything that can be promoted, by key."""
    ours, theirs = read_segments(), there.documents
    found = [
        Difference(
            key=key,
            here=ours.get(key),
            there=theirs.get(key),
            left_out=there.left_out.get(key, NOBODY),
            problems=_problems(ours.get(key), theirs.get(key), there.problems.get(key, ())),
        )
        for key in sorted(ours.keys() | theirs.keys() | there.problems.keys())
    ]
    return [each for each in found if not _is_same(each)]


def _is_same(each: Difference) -> bool:
    if each.problems or not each.left_out.is_nobody or each.here is None or each.there is None:
        return False
    return each.change(to_there=True, with_members=True).is_nothing


def _problems(
    here: SegmentDocument | None, there: SegmentDocument | None, said: tuple[str, ...]
) -> tuple[str, ...]:
    found = [*(_("There: %s") % text for text in said)]
    if here is not None:
        found += [_("Here: %s") % problem for problem in here.problems]
    if here is not None and there is not None:
        one, other = here.definition.kind, there.definition.kind
        if one != other:
            found.append(
                _("It is on %(here)s here, and on %(there)s there.") % {"here": one, "there": other}
            )
    return tuple(found)
