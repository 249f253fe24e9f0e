"""What of a user's attributes can be sent to LaunchDarkly: JSON, allowed by `privacy`, and of a size.

The rest is left out, counted and logged by its name; the setting RAISE_INVALID_ATTRIBUTES makes it
raise InvalidAttribute. No value is ever shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from featureflags.contexts.attributes import RESERVED_NAMES, SEGMENT_NAMES, Privacy
from featureflags.contexts.json_limits import copied, json_problem, json_size, text_problem
from featureflags.contexts.privacy import decided, privacy_of
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.kinds.snapshot import USER

logger = logging.getLogger(__name__)

RESERVED = RESERVED_NAMES | {"key"}
"""Names that no extra attribute may have: they would make it the context of another user."""

NEVER_TOO_LARGE = frozenset({"kind", "key", "anonymous", *SEGMENT_NAMES})
"""Never left out for size: they identify the user, and rules need the segments."""

_CONTAINERS = frozenset({list, dict})


class InvalidAttribute(ValueError):
    """An attribute that cannot be sent to LaunchDarkly. `attribute` names it."""

    def __init__(self, attribute: str, why: str) -> None:
        super().__init__(f"The attribute {attribute!r} {why}.")
        self.attribute = attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Attributes that are JSON, and whether others were left out."""

    attributes: dict[str, JSONValue]
    is_whole: bool = True


def extra_refusal(name: object, value: object) -> str | None:
    """Why an extra attribute cannot be passed; None if it can."""
    if type(name) is not str or not name:
        return "needs a name that is text"
    if name in RESERVED:
        return "is decided by the user and cannot be passed"
    if name == "name" and type(value) is not str:
        return "must be text"
    return _problem(name, value)


def _problem(name: str, value: object) -> str | None:
    if type(value) is str and value.isascii() and name.isascii():  # by far the most frequent
        return None
    if not name.isascii() and text_problem(name) is not None:
        return "has a name that is not Unicode text"
    return json_problem(value)


def only_json(
    given: Mapping[str, object], refusal: Callable[[str, object], str | None] = _problem
) -> Checked:
    """The attributes that can be sent, with copied containers; the rest is refused by name."""
    found: dict[str, JSONValue] = {}
    for name, value in given.items():
        if (why := refusal(name, value)) is not None:
            refuse(name, why)
        elif type(value) in _CONTAINERS:
            found[name] = copied(value)  # type: ignore[arg-type]  # JSON: there is no problem
        else:
            found[name] = value  # type: ignore[assignment]  # the same
    return Checked(attributes=found, is_whole=len(found) == len(given))


def refuse(name: object, why: str) -> None:
    """Raise, or count and log once a minute, as the settings say. Only the name is shown."""
    shown = name if type(name) is str else f"({type(name).__name__})"
    if app_settings().raise_invalid_attributes:
        raise InvalidAttribute(shown, why)
    message = "The attribute %r %s. It was left out."
    report(logger, f"attribute_dropped:{shown:.40}", message, shown, why)


class SortedOut(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes by what LaunchDarkly may do with them."""

    sent: dict[str, Any]
    private: list[str]
    """Names of those that are sent, and redacted from every event."""
    withheld: list[str]
    is_whole: bool
    """Whether all of them are JSON."""


def sorted_out(attributes: Mapping[str, Any], kind: str = USER) -> SortedOut:
    """One pass over the attributes: it takes most of the time of building a context."""
    sent: dict[str, Any] = {"kind": kind}
    private: list[str] = []
    withheld: list[str] = []
    is_whole = True
    known, is_private, is_withheld = decided[kind], Privacy.PRIVATE, Privacy.WITHHELD
    for name, value in attributes.items():
        sort = type(value)
        is_plain = sort is bool or (sort is str and value.isascii())
        if not (is_plain and name.isascii()):
            if (why := _problem(name, value)) is not None:
                refuse(name, why)
                is_whole = False
                continue
            if value is None:
                continue
        privacy = known.get(name) or privacy_of(name, kind)
        if privacy is is_withheld:
            withheld.append(name)
            continue
        if privacy is is_private:
            private.append(name)
        sent[name] = copied(value) if sort in _CONTAINERS else value
    return SortedOut(sent=sent, private=private, withheld=withheld, is_whole=is_whole)


def shrink(attributes: dict[str, Any]) -> bool:
    """Leave out what is larger than the settings allow. Returns whether nothing was left out."""
    settings = app_settings()
    total = json_size(attributes)
    if total <= min(settings.max_attribute_bytes, settings.max_context_bytes):
        return True
    sizes = {
        name: json_size({name: value})
        for name, value in attributes.items()
        if name not in NEVER_TOO_LARGE
    }
    is_whole = True
    for name, size in sorted(sizes.items(), key=lambda each: (-each[1], each[0])):
        if size > settings.max_attribute_bytes:
            why = too_large(size, settings.max_attribute_bytes)
        elif total > settings.max_context_bytes:
            why = f"makes the context too large: {too_large(total, settings.max_context_bytes)}"
        else:
            break
        refuse(name, why)
        del attributes[name]
        total -= size
        is_whole = False
    return is_whole


def too_large(size: int, most: int) -> str:
    return f"takes {size:,} bytes as JSON; {most:,} are allowed"


def sayable(key: str) -> str:
    """The key without lone surrogates: one of them would make the SDK drop a batch of events."""
    return key if text_problem(key) is None else key.encode(errors="backslashreplace").decode()
