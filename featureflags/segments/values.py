"""How values compare: deep equality, instants and semantic versions, as LaunchDarkly has them.

Pure functions over JSON values. Nothing is ever coerced: True is not 1, and "1" is not 1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, TypeAlias

from featureflags.core.times import EPOCH, parse_rfc3339

_NUMBERS: Final = (int, float)
_LISTS: Final = (list, tuple)

_NUMBER = r"(0|[1-9]\d*)"
_PRERELEASE = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = r"[0-9a-zA-Z-]+"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-({_PRERELEASE}(?:\.{_PRERELEASE})*))?(?:\+{_BUILD}(?:\.{_BUILD})*)?",
    re.ASCII,
)
_LEADING_NUMBERS = re.compile(r"([0-9.]*)(.*)")

Identifier: TypeAlias = tuple[int, int, str]
SemVer: TypeAlias = tuple[int, int, int, int, tuple[Identifier, ...]]
"""A version as something that sorts by https://semver.org/#spec-item-11."""


def is_number(value: object) -> bool:
    """Whether the value is a JSON number. A boolean is not."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def same(left: object, right: object) -> bool:
    """Deep JSON equality: 1 equals 1.0, but at no depth does a boolean equal a number.

    The SDK's own equality lets ``{"a": true}`` equal ``{"a": 1}``; ours does not. It does not
    recurse, so that no nesting can exhaust the stack.
    """
    pending = [(left, right)]
    while pending:
        one, other = pending.pop()
        if isinstance(one, dict):
            if not isinstance(other, dict) or one.keys() != other.keys():
                return False
            pending.extend((value, other[key]) for key, value in one.items())
        elif isinstance(one, _LISTS):
            if not isinstance(other, _LISTS) or len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif not _same_scalar(one, other):
            return False
    return True


def _same_scalar(one: object, other: object) -> bool:
    if one is None or isinstance(one, bool):
        return one is other
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    return is_number(one) and is_number(other) and one == other


def parse_instant(value: object) -> float | None:
    """Milliseconds since the epoch; None if the value is not an instant.

    Accepts a number of milliseconds, or an RFC 3339 string with an offset. The strings are those
    of Python's ``datetime.fromisoformat``, as in the SDK (a space for the T, a lower-case z and
    ``+0000`` are accepted; a bare date or a missing offset is not). The result is the SDK's
    floating-point figure, which is exact to the microsecond until 2106. Raises
    OverflowError for an integer beyond a double.
    """
    if isinstance(value, str):
        return _parse_rfc3339(value)
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    return float(value)


@lru_cache(maxsize=1024)
def _parse_rfc3339(text: str) -> float | None:
    instant = parse_rfc3339(text)
    return None if instant is None else (instant - EPOCH).total_seconds() * 1000.0


def parse_semver(value: object) -> SemVer | None:
    """A version as a sort key; None if the value is not a version.

    One or two missing components are padded with zero (``2``, ``2-rc``); build metadata is
    ignored; ``v2``, ``02.0.0``, blanks and four components are not versions.
    """
    return _parse_semver(value) if isinstance(value, str) else None


@lru_cache(maxsize=1024)
def _parse_semver(text: str) -> SemVer | None:
    for _ in range(3):
        found = _SEMVER.fullmatch(text)
        if found is not None:
            return _semver_key(found)
        # The SDK pads a missing component in this very way; ``.`` stops at a line end there too.
        leading = _LEADING_NUMBERS.match(text)
        text = f"{leading[1]}.0{leading[2]}" if leading is not None else text
    return None


def _semver_key(found: re.Match[str]) -> SemVer | None:
    try:
        major, minor, patch = int(found[1]), int(found[2]), int(found[3])
    except ValueError:
        # Python converts no more than 4,300 digits; the SDK calls such a version invalid as well.
        return None
    prerelease = found[4]
    if prerelease is None:
        return major, minor, patch, 1, ()
    return major, minor, patch, 0, tuple(_identifier(part) for part in prerelease.split("."))


def _identifier(part: str) -> Identifier:
    # Digits sort below letters, and among themselves by value: a longer number is a larger one.
    return (0, len(part), part) if part.isdigit() else (1, 0, part)
