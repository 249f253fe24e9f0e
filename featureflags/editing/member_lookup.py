"""Finds the users, or the rows of another kind, that a list of members names.

Hidden SQL: one query for each thousand entries.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.editing.member_files import LineRemark, MemberLine, MemberList, shortened
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, user_kind
from featureflags.models.changesets import MemberState

LOOKED_UP_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMembers:
    """The users that a list names."""

    members: Mapping[str, MemberState]
    """By user key, as the list has them."""
    problems: tuple[LineRemark, ...]
    """No user has this address or key, or the membership would have ended, or end before it begins."""
    repeated: tuple[LineRemark, ...]
    """Users who are on more than one line."""


def find_members(
    listed: MemberList,
    default: MemberState,
    stored: Mapping[str, MemberState] | None = None,
    kind: CompiledKind | None = None,
) -> FoundMembers:
    """The users of the lines, or the rows of another kind.

    `default`: the membership, where a line leaves something open. `stored`: the members of the segment
    by key. One that has ended stays as it is, so that an export can be read back.
    """
    stored = stored or {}
    kind, texts = kind or user_kind(), {each.text for each in listed.lines}
    keys = {text for text in texts if kind.parse_key(text) is not None}
    now = timezone.now()
    titles = texts if kind.has_text_keys else texts - keys
    by_text = {**_by_title(sorted(titles), kind), **_by_key(sorted(keys), kind)}
    members: dict[str, MemberState] = {}
    first: dict[str, int] = {}
    problems: list[LineRemark] = []
    repeated: list[LineRemark] = []
    for each in listed.lines:
        named, state = by_text.get(each.text, ()), _state(each, default)
        user = named[0] if len(named) == 1 else None
        if user is None:
            problems.append(LineRemark(each.line, _not_one(each.text, len(named), kind)))
        elif _has_ended(state, now) and stored.get(user) != state:
            text = _("the time of %s has ended already.") % each.text
            problems.append(LineRemark(each.line, text))
        elif _ends_first(state):
            text = _("the time of %s would end before it begins.") % each.text
            problems.append(LineRemark(each.line, text))
        elif user not in first:
            first[user], members[user] = each.line, state
        else:
            is_same = members[user] == state
            remark = _also_on(each, first[user], is_same=is_same)
            (repeated if is_same else problems).append(remark)
    return FoundMembers(members=members, problems=tuple(problems), repeated=tuple(repeated))


def _also_on(line: MemberLine, first: int, *, is_same: bool) -> LineRemark:
    text = (
        _("%(text)s is also on line %(line)d.")
        if is_same
        else _("%(text)s is also on line %(line)d, with other values.")
    )
    return LineRemark(line.line, text % {"text": line.text, "line": first})


def _has_ended(state: MemberState, now: datetime.datetime) -> bool:
    return state.expires_at is not None and state.expires_at <= now


def _ends_first(state: MemberState) -> bool:
    starts, ends = state.starts_at, state.expires_at
    return starts is not None and ends is not None and ends <= starts


def _state(line: MemberLine, default: MemberState) -> MemberState:
    return MemberState(
        kind=line.kind or default.kind,
        reason=default.reason if line.reason is None else line.reason,
        starts_at=line.starts_at if line.has_start else default.starts_at,
        expires_at=line.expires_at if line.has_expiry else default.expires_at,
    )


def _not_one(text: str, number: int, kind: CompiledKind) -> str:
    values = {"text": shortened(text), "kind": kind.name, "number": number}
    if number:
        return _("%(number)d rows are called %(text)s. Write the key instead.") % values
    if kind.name != USER:
        return _("no %(kind)s has the key or name %(text)s.") % values
    words = _("nobody has the e-mail %s.") if "@" in text else _("nobody has the key %s.")
    return words % shortened(text)


def keys_of_titles(texts: Sequence[str], kind: CompiledKind) -> dict[str, Sequence[str]]:
    """The keys of the rows with these titles, by title.

    Letters with accents are written in one way or another; the one in the list comes first.
    """
    found: dict[str, Sequence[str]] = {}
    for some in chunks(texts):
        found |= kind.keys_by_title(some)
    for form in ("NFC", "NFD"):
        others = {
            unicodedata.normalize(form, text): text
            for text in texts
            if text not in found and not text.isascii()
        }
        for some in chunks(sorted(others)):
            found |= {others[title]: keys for title, keys in kind.keys_by_title(some).items()}
    return found


def _by_title(titles: Sequence[str], kind: CompiledKind) -> dict[str, Sequence[str]]:
    found = keys_of_titles(titles, kind)
    for some in chunks([text for text in titles if "@" in text and text not in found]):
        found |= kind.keys_by_address(some)
    return found


def _by_key(keys: Sequence[str], kind: CompiledKind) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for some in chunks(keys):
        found |= {key: (key,) for key in kind.existing(some)}
    return found


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many that one query can ask for them."""
    for start in range(0, len(texts), LOOKED_UP_AT_ONCE):
        yield texts[start : start + LOOKED_UP_AT_ONCE]
