"""A segment's row as JSON, for documents and the history; its tags, owner, archive and salt in words.

The owner is named by the key of a user, never by address: a file holds no personal data. An owner who is
not a user here is left out, and the segment keeps the one that it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from featureflags.core.types import JSONValue
from featureflags.kinds.registry import USER, user_kind
from featureflags.models.changesets import SegmentState
from featureflags.models.stored_forms import in_tag_form
from featureflags.segments.formatting import show, visible
from featureflags.segments.json_limits import text_problem

ACTIVE: Final = "isActive"
ARCHIVED: Final = "isArchived"
REASONS: Final = "memberReasons"
"""In a native document: the reason of each member who has one, by key."""
LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a document has; None: it does not have it."""

    tags: tuple[str, ...] | None
    owner: str | None
    is_archived: bool | None


def dump_about(state: SegmentState) -> dict[str, JSONValue]:
    """Only the values that are set: most segments have none of them."""
    found: dict[str, JSONValue] = {}
    if state.tags:
        found["tags"] = list(state.tags)
    if state.owner:
        found["owner"] = state.owner
    if state.is_archived:
        found[ARCHIVED] = True
    return found


def dump_state(state: SegmentState) -> dict[str, JSONValue]:
    """A row as the native document has it, with its rules as they are stored, without members."""
    special: dict[str, JSONValue] = {} if state.kind == USER else {"kind": state.kind}
    special |= {"salt": state.salt} if state.salt else {}
    return special | {
        "key": state.key,
        "version": state.version,
        "name": state.name,
        "description": state.description,
        ACTIVE: state.is_active,
        "rules": state.rules,
        **dump_about(state),
    }


def load_state(dumped: Mapping[str, Any]) -> SegmentState:
    """The inverse of `dump_state`."""
    return SegmentState(
        key=dumped["key"],
        kind=dumped.get("kind", USER),
        version=dumped["version"],
        name=dumped["name"],
        description=dumped["description"],
        is_active=dumped[ACTIVE],
        rules=dumped["rules"],
        salt=dumped.get("salt", ""),
        tags=tuple(dumped.get("tags", ())),
        owner=dumped.get("owner", ""),
        is_archived=dumped.get(ARCHIVED, False),
    )


def read_about(fields: dict[str, Any]) -> About:
    """Takes them out of the fields of a document. Raises ValueError for what is not valid."""
    tags, owner, archived = (fields.pop(name, None) for name in ("tags", "owner", ARCHIVED))
    if owner is not None and not isinstance(owner, str):
        raise ValueError("owner must be the key of a user")
    if archived is not None and not isinstance(archived, bool):
        raise ValueError(f"{ARCHIVED} must be true or false")
    try:
        known = None if tags is None else tuple(in_tag_form(tags))
    except ValidationError as error:
        raise ValueError(error.messages[0]) from error
    return About(tags=known, owner=owner, is_archived=archived)


def check_reasons(raw: object, members: Collection[str]) -> None:
    """Raises ValueError unless it holds a text for each of some members."""
    if not isinstance(raw, dict):
        raise ValueError(f"{REASONS} must map the keys of members to texts")  # noqa: TRY004 - of the document
    for key, text in raw.items():
        if key not in members:
            raise ValueError(f"{REASONS}: {show(key)} is not a member")
        if not isinstance(text, str) or len(text) > LONGEST_REASON:
            raise ValueError(
                f"{REASONS}: the reason of {show(key)} must be a text of {LONGEST_REASON} characters at most"
            )
        problem = text_problem(text)
        if problem is not None:
            raise ValueError(f"{REASONS}: {show(key)}: {problem}")


def known_owners(owners: Iterable[str | None]) -> set[str | None]:
    """Those that name a user, nobody (empty), or nothing (None): one query at most."""
    named = {owner for owner in owners if owner}
    return {None, "", *(user_kind().existing(named) if named else ())}


def unknown_owners(listed: object) -> list[str]:
    """A sentence for each owner in a document who is not a user here."""
    named = {
        key: segment["owner"]
        for key, segment in (listed.items() if isinstance(listed, dict) else ())
        if isinstance(segment, dict) and isinstance(segment.get("owner"), str)
    }
    known = known_owners(named.values())
    return [
        _("%(segment)s: its owner %(owner)s is not a user here, and is left out")
        % {"segment": key, "owner": visible(owner)}
        for key, owner in named.items()
        if owner not in known
    ]


def about_in_words(old: SegmentState, new: SegmentState) -> Iterator[str]:
    """What differs, one sentence each. An owner is named by key."""
    came, gone = sorted({*new.tags} - {*old.tags}), sorted({*old.tags} - {*new.tags})
    if came:
        yield _("Tags added: %s") % ", ".join(came)
    if gone:
        yield _("Tags removed: %s") % ", ".join(gone)
    if old.owner != new.owner:
        yield (
            _("Owner changed to %s") % owner_in_words(new.owner)
            if new.owner
            else _("Owner removed")
        )
    if old.is_archived != new.is_archived:
        yield _("Archived") if new.is_archived else _("Taken out of the archive")
    if old.salt != new.salt:
        yield _("Salt changed to %s: percentages take others") % show(new.salt)


def owner_in_words(key: str) -> str:
    """The name of a user, as the history shows who acted, else the key: one query."""
    kind = user_kind()
    row = kind.find(key) if key else None
    return key if row is None else kind.label_of_row(row) or key
