"""Which of Django's segments, or LaunchDarkly's, a clause of a flag is about.

Only `in` names a segment exactly. With another text operator a clause counts if it matches the key:
`contains "user"` also targets `new_user`, which is rarely meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

from featureflags.kinds.snapshot import declared_kinds
from featureflags.segments.definitions import USER_KIND, Clause
from featureflags.segments.references import attribute_path

ATTRIBUTE: Final = "segments"
"""The attribute of our contexts that lists the keys of a user's segments."""
PATH: Final = "segment"
"""The object in `/segment/X`."""


def _matches(pattern: str, key: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except re.error:
        return False


_LIKE: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda value, key: value in key,
    "startsWith": lambda value, key: key.startswith(value),
    "endsWith": lambda value, key: key.endswith(value),
    "matches": _matches,
}
"""Operators that match a segment's key without naming it."""


def launchdarkly_segments(clause: Clause) -> list[str]:
    """LaunchDarkly's segments that a segmentMatch names."""
    return [value for value in clause.values if isinstance(value, str)]


def path_of(clause: Clause) -> tuple[str, ...]:
    """The attribute's path; empty for a kind that the project does not declare, or an invalid path."""
    if clause.context_kind is not None and clause.context_kind not in declared_kinds:
        return ()
    try:
        # Old rules name no kind. No attribute of ours begins with a slash, so it is a path there.
        return attribute_path(clause.attribute, clause.context_kind or USER_KIND)
    except ValueError:
        return ()


def is_about_segments(clause: Clause) -> bool:
    """True if a clause tests Django's segments rather than LaunchDarkly's."""
    path = path_of(clause)
    return path == (ATTRIBUTE,) or (len(path) == 2 and path[0] == PATH)


def names_of(clause: Clause) -> list[str]:
    """The segments that a clause names exactly; none if it tests another attribute."""
    path = path_of(clause)
    if len(path) == 2 and path[0] == PATH:
        return [path[1]]
    if clause.op != "in" or path != (ATTRIBUTE,):
        return []
    return list(dict.fromkeys(value for value in clause.values if isinstance(value, str)))


def targets_among(clause: Clause, segments: Collection[str]) -> dict[str, bool]:
    """The segments among these that a clause targets: True if by name, False if by a match."""
    named = names_of(clause)
    found = {key: True for key in named if key in segments}
    like = _LIKE.get(clause.op)
    if like is not None and path_of(clause) == (ATTRIBUTE,):
        texts = [value for value in clause.values if isinstance(value, str)]
        matched = (key for key in segments if any(like(value, key) for value in texts))
        found |= dict.fromkeys(matched, False)
    return found
