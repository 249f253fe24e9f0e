"""Why a change must be confirmed, in sentences, and the signed token of what somebody was shown.

A token holds for one person, for 24 hours, and for exactly the change, the flags and the numbers
that the page or the answer showed; numbers may differ by one in a hundred.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from django.core import signing
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.core.conf import app_settings
from featureflags.core.types import Account
from featureflags.editing.about import dump_state
from featureflags.editing.examining import Examination, Reason
from featureflags.kinds.nouns import noun
from featureflags.models.changesets import MemberState

SALT: Final = "featureflags.editing.confirmation"
HOLDS_SECONDS: Final = 24 * 3600

TOLERANCE: Final = 100
"""On a busy site the numbers change all the time: one in this many may differ."""


def why_in_words(one: Examination) -> Iterator[str]:
    """Why a change must be confirmed, in sentences."""
    settings, rows = app_settings(), noun(one.change.state.kind)
    if Reason.DISAPPEARS in one.reasons:
        yield _disappears(one)
    if Reason.MANY in one.reasons:
        limits = {
            "percent": f"{settings.confirm_percent:g}",
            "users": f"{settings.confirm_users:,}",
            "rows": rows,
        }
        yield (
            _("It moves more than %(percent)s %% of all %(rows)s, or more than %(users)s.") % limits
        )
    if Reason.UNCOUNTED in one.reasons:
        text = _("There was no time to count all %s: it may move more than these numbers show.")
        yield text % rows
    if Reason.FLAGS in one.reasons:
        live = one.live_flags
        text = ngettext(
            "A flag that is on uses this segment: %s.",
            "Flags that are on use this segment: %s.",
            len(live),
        )
        yield text % ", ".join(live)


def _disappears(one: Examination) -> str:
    if not one.flags_known:
        return _("LaunchDarkly has not sent any flags, so flags may use this segment unseen.")
    what = _("deactivated") if one.change.after is not None else _("deleted")
    text = ngettext(
        "A flag targets this segment, and will find nobody in it once it is %(what)s: %(flags)s.",
        "Flags target this segment, and will find nobody in it once it is %(what)s: %(flags)s.",
        len(one.flags),
    )
    return text % {"what": what, "flags": ", ".join(one.flags)}


def sign(examinations: Iterable[Examination], actor: Account) -> str:
    """The token that this person sends back to confirm what they were shown."""
    shown = [[fingerprint(one), *_numbers(one)] for one in examinations]
    return signing.dumps([shown, str(actor.pk)], salt=SALT)


def are_confirmed(examinations: Sequence[Examination], token: str, actor: Account) -> bool:
    """True if `token` was signed for this person and for these changes."""
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
    """A hash of the change and of the flags that use the segment, without the numbers."""
    change = examination.change
    members = [
        [str(user), _member(one.before), _member(one.after)]
        for user, one in sorted(change.members.items())
    ]
    # A segment that is not saved yet has no version.
    after = None if change.after is None else dump_state(replace(change.after, version=0))
    before = None if change.before is None else dump_state(change.before)
    flags = [use.to_dict() for use in examination.uses]
    shown = [before, after, members, flags, examination.flags_known]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _member(state: MemberState | None) -> list[str] | None:
    if state is None:
        return None
    return [state.kind, state.reason, str(state.starts_at), str(state.expires_at)]
