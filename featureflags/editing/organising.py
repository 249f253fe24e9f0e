"""The changes around a segment: a copy, a list instead of its rules, and the archive.

In: a stored segment. Out: a `Change`, to be examined and applied like any other. Raises ValidationError
for what cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.audience.member_pages import AudienceFilter, SegmentAudience
from featureflags.core.conf import app_settings
from featureflags.core.times import now_in_microseconds
from featureflags.core.uncached import fresh_rows
from featureflags.editing.changes import Change, member_changes, stored_members
from featureflags.editing.documents import read_segments
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState, SegmentState
from featureflags.models.limits import TOO_MANY_MEMBERS
from featureflags.models.stored_forms import in_tag_form
from featureflags.segments.ruleset import Ruleset

FREEZE_SECONDS: Final = 10.0
"""How long the members of a segment are looked for before it is refused to freeze it."""
COPY: Final = "_copy"


def archival_of(segment: Segment, *, archived: bool) -> Change:
    """Into the archive, which makes it inactive, or out of it, where it stays inactive."""
    before = _stored(segment)
    after = replace(before, is_archived=archived, is_active=before.is_active and not archived)
    return Change(before=before, after=after, expected_version=before.version)


def tagged(segment: Segment, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Change:
    """With these tags more, and without those."""
    before = _stored(segment)
    gone = set(in_tag_form(list(remove)))
    tags = tuple(in_tag_form([*(tag for tag in before.tags if tag not in gone), *add]))
    return Change(before=before, after=replace(before, tags=tags), columns=frozenset({"tags"}))


def copy_of(
    segment: Segment, *, key: str, name: str, owner: str = "", with_members: bool = False
) -> Change:
    """A new segment with the same rules, salt, description and tags; `with_members`: and members by name."""
    state = _stored(segment)
    if Segment.objects.filter(key=key).exists():
        raise ValidationError({"key": [_("There is a segment with this key already.")]})
    new = Segment(
        key=key,
        kind=state.kind,
        name=name,
        description=state.description,
        rules=state.rules,
        salt=state.salt,
        tags=list(state.tags),
    )
    with fresh_rows():
        new.full_clean()
    members = stored_members(segment.key) if with_members else {}
    return Change(
        before=None,
        after=replace(new.as_state(), owner=owner),
        members=member_changes({}, members, state.kind),
    )


def free_key(key: str) -> str:
    """A key for a copy that no segment has: `beta_copy`, `beta_copy_2`."""
    base = key.removesuffix(COPY)[: 100 - len(COPY) - 4] + COPY
    taken = set(Segment.objects.filter(key__startswith=base).values_list("key", flat=True))
    return next(
        found
        for number in range(1, len(taken) + 2)
        if (found := base if number == 1 else f"{base}_{number}") not in taken
    )


def frozen(segment: Segment) -> Change:
    """A list instead of rules: everybody who is in it now is included by name, and the rules go.

    Members by name keep reason and end; so do those who are excluded. Raises ValidationError where the
    list would be longer than the setting `MAX_MEMBERS`, where nobody knows in time how long it would be,
    and where there are no rules.
    """
    before = _stored(segment)
    if not before.rules:
        raise ValidationError(_("It has no rules: it is a list already."))
    if not before.is_active:
        raise ValidationError(_("It is not active: nobody is in it, so there is nobody to list."))
    members = stored_members(segment.key)
    reason = _("Frozen on %s") % timezone.localdate().isoformat()
    included = MemberState(kind=SegmentMember.Kind.INCLUDE.value, reason=reason, expires_at=None)
    # Somebody whose exclusion has ended may be in it.
    listed = {
        key: members[key]
        if key in members and members[key].kind == SegmentMember.Kind.INCLUDE
        else included
        for key in _everybody_in(segment, room=app_settings().max_members)
    }
    after = {**members, **listed}
    _refuse_too_many(len(after))
    return Change(
        before=before,
        after=replace(before, rules=[]),
        members=member_changes(members, after, before.kind),
        expected_version=before.version,
    )


def _everybody_in(segment: Segment, *, room: int) -> list[str]:
    """The keys of all rows that are in it. Raises ValidationError for more than `room`."""
    ruleset = Ruleset(document.in_force for document in read_segments().values())
    wanted = AudienceFilter()
    audience = SegmentAudience(ruleset, segment.key, now=now_in_microseconds(), wanted=wanted)
    page = audience.page(room, seconds=FREEZE_SECONDS)
    if page.is_cut:
        raise ValidationError(
            _("Nobody knows within %d seconds who is in it: it is not frozen.") % FREEZE_SECONDS
        )
    if page.has_next:
        _refuse_too_many(room + 1)
    return [member.user.key for member in page.members]


def _refuse_too_many(number: int) -> None:
    limit = app_settings().max_members
    if number > limit:
        text = _(
            "The list would have more than %s members by name, which is the limit. Narrow the rules."
        )
        raise ValidationError(text % f"{limit:,}", code=TOO_MANY_MEMBERS)


def _stored(segment: Segment) -> SegmentState:
    return segment.stored_state() or segment.as_state()
