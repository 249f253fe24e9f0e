"""Examines a change that has not been made: who enters and leaves, and which flags use the segment.

Admin, REST API, import and restore ask the same two questions of the answer: must somebody confirm
it, and must they type the segment's key, as for one that disappears while flags target it.

Hidden SQL: see `featureflags.audience.impact`; the rules of all segments; and up to a few thousand
keys of users, to know what share of them moves. No events are sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from featureflags.audience.parts import Impact
from featureflags.core.conf import app_settings
from featureflags.editing.changes import Change
from featureflags.editing.moved_users import impact_of_change
from featureflags.inspection.flags_using_segment import Use, named_segments, uses_of_each
from featureflags.kinds.registry import kind_named, user_kind
from featureflags.launchdarkly.client import feature_store, has_flags, looking
from featureflags.models import Segment, segment_graph
from featureflags.models.changesets import Moved
from featureflags.models.validation import Graph
from featureflags.segments.references import reachable


class Reason(StrEnum):
    """Why a change must be confirmed."""

    MANY = "many"
    """It moves more users than the settings allow."""
    UNCOUNTED = "uncounted"
    """There was no time to count all users: it may move many."""
    FLAGS = "flags"
    """A flag that is on uses the segment."""
    DISAPPEARS = "disappears"
    """The segment is deleted or deactivated while flags use it, or while no flags are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagUse:
    """One way in which a flag uses the segment."""

    use: Use
    through: str = ""
    """The segment that the flag names, if that is another one whose rules name this one."""

    @property
    def flag(self) -> str:
        return self.use.flag

    @property
    def live(self) -> bool:
        return self.use.live

    @property
    def words(self) -> str:
        return self.use.words

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

    change: Change
    impact: Impact
    uses: tuple[FlagUse, ...] = ()
    """Empty for a change that moves nobody, such as another name, unless `examine` was asked for them."""
    flags_known: bool = True
    """False: LaunchDarkly has not sent any flags, so that their use of the segment is unknown."""
    reasons: tuple[Reason, ...] = ()

    @property
    def key(self) -> str:
        return self.change.key

    @property
    def needs_confirmation(self) -> bool:
        return bool(self.reasons)

    @property
    def needs_approval(self) -> bool:
        """True if somebody else must approve it: flags that are on use the segment, or none are known."""
        if not app_settings().approve_live_segments:
            return False
        matters = self.change.moves_users or self.change.disappears
        return matters and (bool(self.live_flags) or not self.flags_known)

    @property
    def needs_key(self) -> bool:
        """True if the segment's key must be typed."""
        return Reason.DISAPPEARS in self.reasons

    @property
    def moved(self) -> Moved:
        return self.impact.moved

    @property
    def live_flags(self) -> tuple[str, ...]:
        """Keys of the flags that are on, each once."""
        return tuple(dict.fromkeys(use.flag for use in self.uses if use.live))

    @property
    def flags(self) -> tuple[str, ...]:
        """Keys of all flags that use it, each once."""
        return tuple(dict.fromkeys(use.flag for use in self.uses))


def examine(
    change: Change,
    *,
    impact: Impact | None = None,
    seconds: float | None = None,
    with_flags: bool = False,
    together: Collection[str] = (),
    graph: Graph | None = None,
) -> Examination:
    """What this change would do.

    `impact`: who enters and leaves, if the caller has counted already. Else counting takes `seconds` at
    most (default: the setting `IMPACT_SECONDS`); past that the numbers are lower bounds.
    `with_flags`: look up the flags that use the segment also for a change that moves nobody.
    `together`: segments that go into the archive in the same write. `graph`: which stored segment names
    which, if the caller examines many changes.
    Raises ValidationError for a segment that goes into the archive while a flag that is on, or another
    segment that stays out of it, uses it.
    """
    if impact is None:
        seconds = app_settings().impact_seconds if seconds is None else seconds
        impact = impact_of_change(change, seconds=seconds)
    if not (with_flags or change.moves_users or change.disappears or change.archives):
        return Examination(change=change, impact=impact)
    found = flag_uses(change.key, graph)
    uses = tuple(found or ())
    if change.archives:
        named = segment_graph() if graph is None else graph
        _refuse_archive(change.key, uses, named, together)
    reasons = tuple(_reasons(change, impact, uses, flags_known=found is not None))
    return Examination(
        change=change, impact=impact, uses=uses, flags_known=found is not None, reasons=reasons
    )


def _refuse_archive(
    key: str, uses: Collection[FlagUse], graph: Graph, together: Collection[str]
) -> None:
    live = sorted({use.flag for use in uses if use.live})
    naming = {name for name, names in graph.items() if key in names} - {*together}
    # One that is archived matches nobody, whatever its rules name.
    archived = Segment.objects.filter(key__in=naming, is_archived=True)
    named = sorted(naming.difference(archived.values_list("key", flat=True)) if naming else ())
    for text, who in (
        (_("“%(key)s” is not archived: flags that are on use it: %(who)s."), live),
        (_("“%(key)s” is not archived: the rules of other segments name it: %(who)s."), named),
    ):
        if who:
            raise ValidationError(text % {"key": key, "who": ", ".join(who)}, code="in_use")


def _reasons(
    change: Change, impact: Impact, uses: Collection[FlagUse], *, flags_known: bool
) -> Iterator[Reason]:
    if change.disappears and (uses or not flags_known):
        yield Reason.DISAPPEARS
    if not change.moves_users:
        return
    if _moves_many(change, impact):
        yield Reason.MANY
    elif not impact.is_exact:
        yield Reason.UNCOUNTED
    if any(use.live for use in uses):
        yield Reason.FLAGS


def _moves_many(change: Change, impact: Impact) -> bool:
    settings = app_settings()
    moved, percent = impact.moved.count, settings.confirm_percent
    if moved == 0:
        return False
    if moved > settings.confirm_users or percent <= 0:
        return True
    if change.moves_by_rules:
        return impact.is_exact and moved * 100 > percent * impact.users.at_least
    # Only users whose membership changes were counted. Are there enough others?
    enough = math.ceil(moved * 100 / percent)
    kind = kind_named(change.state.kind) or user_kind()
    users: int = kind.rows().order_by()[:enough].count()
    return users < enough


def flag_uses(key: str, graph: Graph | None = None) -> list[FlagUse] | None:
    """The flags that use a segment, those that are on first; None if no flags are known.

    A flag also uses it by naming another segment whose rules name this one. `graph`: as `examine` takes it.
    """
    with looking():
        if not has_flags():
            return None
        data = feature_store().raw()
    users_of_key = reachable(_named_by(segment_graph() if graph is None else graph), [key])
    found = [
        FlagUse(use=use, through="" if segment == key else segment)
        for segment, uses in uses_of_each([key, *sorted(users_of_key - {key})], data).items()
        for use in uses
    ]
    return sorted(found, key=lambda use: (not use.live, use.flag, use.through))


def unused_segments() -> list[str] | None:
    """The segments that no flag uses, itself or through others; None if no flags are known."""
    with looking():
        if not has_flags():
            return None
        named = named_segments(feature_store().raw())
    graph = segment_graph()
    used = reachable(lambda key: graph.get(key, ()), list(named))
    return sorted(graph.keys() - used)


def asks_for_approval(key: str) -> bool:
    """True if a change that moves users of this segment would need an approval now."""
    if not app_settings().approve_live_segments:
        return False
    found = flag_uses(key)
    return found is None or any(use.live for use in found)


def _named_by(graph: Mapping[str, Collection[str]]) -> Callable[[str], list[str]]:
    """From a segment's key to those whose rules name it."""
    found: dict[str, list[str]] = {}
    for key, names in graph.items():
        for name in names:
            found.setdefault(name, []).append(key)
    return lambda key: found.get(key, [])
