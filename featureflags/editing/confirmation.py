"""Whether a change of a segment may be made just so, or only once somebody has confirmed it.

`examine` looks at a change that has not been made: whom it moves, and which flags rest on the
segment, also by way of other segments. Admin, API and commands ask the same questions of it:
does it need to be confirmed, and does it need the segment's key, typed, as to delete one that
flags target. What is confirmed is signed, and holds for exactly what was shown.

Hidden SQL: what `featureflags.audience.impact` asks, the rules of all segments, and up to a few thousand
keys of users to know what share of them moves. LaunchDarkly is told nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from django.core import signing
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.audience.impact import Impact
from featureflags.core.conf import app_settings
from featureflags.editing.changes import SegmentDelta
from featureflags.editing.documents import dump_state
from featureflags.editing.history.moved_users import impact_of_delta, moved_by
from featureflags.inspection.flags_using_segment import Use, uses_of_each
from featureflags.launchdarkly.client import feature_store, has_flags, looking
from featureflags.models import segment_graph
from featureflags.models.changesets import MemberState, Moved
from featureflags.segments.references import reachable
from users.models import User

SALT: Final = "featureflags.editing.confirmation"
HOLDS_SECONDS: Final = 24 * 3600
"""How long what was shown can be confirmed, if nothing has changed meanwhile."""

TOLERANCE: Final = 100
"""On a busy site numbers never stand still: one in so many may differ from what was shown."""


class Reason(StrEnum):
    """Why a change is not made just so."""

    MANY = "many"
    """It moves more users than the settings allow."""
    UNCOUNTED = "uncounted"
    """There was no time to count all users: it may move many."""
    FLAGS = "flags"
    """A flag that is on rests on the segment."""
    DISAPPEARS = "disappears"
    """The segment is deleted or deactivated while flags target it, or nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagUse:
    """One way on which a flag rests on the segment."""

    flag: str
    live: bool
    words: str
    through: str = ""
    """The segment of ours that the flag names, where it is another whose rules name this one."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "flag": self.flag,
            "live": self.live,
            "words": self.words,
            "through": self.through or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A change that has not been made, and what it would do."""

    delta: SegmentDelta
    impact: Impact
    uses: tuple[FlagUse, ...]
    flags_known: bool
    """False: LaunchDarkly has not sent any flags, so that nobody can tell which target it."""
    reasons: tuple[Reason, ...]

    @property
    def key(self) -> str:
        return self.delta.state.key

    @property
    def needs_confirmation(self) -> bool:
        return bool(self.reasons)

    @property
    def needs_key(self) -> bool:
        """Whether the segment's key has to be typed."""
        return Reason.DISAPPEARS in self.reasons

    @property
    def moved(self) -> Moved:
        return moved_by(self.impact)

    @property
    def live_flags(self) -> tuple[str, ...]:
        """Keys of the flags that are on, each once."""
        return tuple(dict.fromkeys(use.flag for use in self.uses if use.live))

    @property
    def flags(self) -> tuple[str, ...]:
        """Keys of all flags that rest on it, each once."""
        return tuple(dict.fromkeys(use.flag for use in self.uses))


def examine(pk: int | None, delta: SegmentDelta, *, seconds: float | None = None) -> Examination:
    """What a change of the segment with this id (None: a new one) would do."""
    seconds = app_settings().impact_seconds if seconds is None else seconds
    return judge(delta, impact_of_delta(pk, delta, seconds=seconds))


def judge(delta: SegmentDelta, impact: Impact) -> Examination:
    """The same where it is known whom the change moves."""
    found = flag_uses(delta.state.key)
    uses = () if found is None else tuple(found)
    reasons = _reasons(delta, impact, uses, flags_known=found is not None)
    return Examination(
        delta=delta,
        impact=impact,
        uses=uses,
        flags_known=found is not None,
        reasons=tuple(reasons),
    )


def _reasons(
    delta: SegmentDelta, impact: Impact, uses: Collection[FlagUse], *, flags_known: bool
) -> Iterator[Reason]:
    if disappears(delta) and (uses or not flags_known):
        yield Reason.DISAPPEARS
    if not (delta.moves_by_rules or delta.moves_by_name) or delta.is_inactive:
        return
    if _moves_many(delta, impact):
        yield Reason.MANY
    elif not impact.is_exact:
        yield Reason.UNCOUNTED
    if any(use.live for use in uses):
        yield Reason.FLAGS


def disappears(delta: SegmentDelta) -> bool:
    """Whether the segment is deleted or deactivated."""
    if delta.before is None:
        return False
    return delta.after is None or (delta.before.is_active and not delta.after.is_active)


def _moves_many(delta: SegmentDelta, impact: Impact) -> bool:
    settings = app_settings()
    moved, percent = impact.moved, settings.confirm_percent
    if moved == 0:
        return False
    if moved > settings.confirm_users or percent <= 0:
        return True
    if delta.moves_by_rules:
        return impact.is_exact and moved * 100 > percent * impact.users.at_least
    # Only those whose membership changes were looked at: are there enough others?
    enough = math.ceil(moved * 100 / percent)
    users: int = User.objects.order_by()[:enough].count()
    return users < enough


def flag_uses(key: str) -> list[FlagUse] | None:
    """Which flags rest on a segment, those that are on first; None if nobody can tell.

    A flag that names another segment whose rules name this one rests on it too.
    """
    with looking():
        if not has_flags():
            return None
        data = feature_store().raw()
    graph = segment_graph()
    resting = reachable(_named_by(graph), [key])
    found = [
        _flag_use(use, "" if segment == key else segment)
        for segment, uses in uses_of_each([key, *sorted(resting - {key})], data).items()
        for use in uses
    ]
    return sorted(found, key=lambda use: (not use.live, use.flag, use.through))


def why_in_words(one: Examination) -> Iterator[str]:
    """Why a change has to be confirmed, in sentences."""
    settings = app_settings()
    if Reason.DISAPPEARS in one.reasons:
        yield _disappears(one)
    if Reason.MANY in one.reasons:
        told = {"percent": f"{settings.confirm_percent:g}", "users": f"{settings.confirm_users:,}"}
        yield _("It moves more than %(percent)s %% of all users, or more than %(users)s.") % told
    if Reason.UNCOUNTED in one.reasons:
        yield _("There was no time to count all users: it may move more of them than are shown.")
    if Reason.FLAGS in one.reasons:
        live = one.live_flags
        text = ngettext(
            "A flag that is on rests on this segment: %s.",
            "Flags that are on rest on this segment: %s.",
            len(live),
        )
        yield text % ", ".join(live)


def _disappears(one: Examination) -> str:
    if not one.flags_known:
        return _(
            "LaunchDarkly has not sent any flags, so nobody can tell which target this segment."
        )
    what = _("deactivated") if one.delta.after is not None else _("deleted")
    text = ngettext(
        "A flag targets this segment, and will find nobody in it once it is %(what)s: %(flags)s.",
        "Flags target this segment, and will find nobody in it once it is %(what)s: %(flags)s.",
        len(one.flags),
    )
    return text % {"what": what, "flags": ", ".join(one.flags)}


def _flag_use(use: Use, through: str) -> FlagUse:
    return FlagUse(flag=use.flag, live=use.live, words=use.words, through=through)


def _named_by(graph: Mapping[str, Collection[str]]) -> Callable[[str], list[str]]:
    """From a segment's key to those whose rules name it."""
    found: dict[str, list[str]] = {}
    for key, names in graph.items():
        for name in names:
            found.setdefault(name, []).append(key)
    return lambda key: found.get(key, [])


def sign(examinations: Iterable[Examination], actor: User) -> str:
    """What this person sends back to confirm what they were shown."""
    shown = [[fingerprint(one), *_numbers(one)] for one in examinations]
    return signing.dumps([shown, str(actor.pk)], salt=SALT)


def are_confirmed(examinations: Sequence[Examination], token: str, actor: User) -> bool:
    """Whether this person was shown just these: the same definitions before and after, the same
    members and flags, and the same numbers but for one in a hundred."""
    try:
        shown, who = signing.loads(token, salt=SALT, max_age=HOLDS_SECONDS)
    except signing.BadSignature:
        return False
    return (
        who == str(actor.pk)
        and len(shown) == len(examinations)
        and all(_is_as_shown(one, *each) for one, each in zip(examinations, shown, strict=True))
    )


def _is_as_shown(one: Examination, said: str, entering: int, leaving: int, at_least: bool) -> bool:
    if (said, at_least) != (fingerprint(one), one.moved.at_least):
        return False
    # A count that is cut off ends somewhere else each time.
    return at_least or (_near(one.moved.entering, entering) and _near(one.moved.leaving, leaving))


def _numbers(one: Examination) -> tuple[int, int, bool]:
    return one.moved.entering, one.moved.leaving, one.moved.at_least


def _near(number: int, shown: int) -> bool:
    return abs(number - shown) <= shown // TOLERANCE


def fingerprint(examination: Examination) -> str:
    """Stands for what a change says, and for the flags that rest on it; not for the numbers."""
    delta = examination.delta
    members = [
        [str(user), _member(one.before), _member(one.after)]
        for user, one in sorted(delta.members.items())
    ]
    states = [None if each is None else dump_state(each) for each in (delta.before, delta.after)]
    if delta.after is not None:
        # The version of what is not saved yet says nothing.
        states[1] = dump_state(replace(delta.after, version=0))
    flags = [use.to_dict() for use in examination.uses]
    shown = [*states, members, flags, examination.flags_known]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _member(state: MemberState | None) -> list[str] | None:
    return None if state is None else [state.kind, state.reason, str(state.expires_at)]
