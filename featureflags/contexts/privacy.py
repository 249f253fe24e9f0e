"""Which attributes are sent to LaunchDarkly, and which of them events must not contain.

The catalogue declares each attribute public, private or withheld. The setting
`LAUNCHDARKLY_ATTRIBUTES` narrows that: it lists the names that may be sent, and `*` means all that
the catalogue allows. Segments always see everything.

Metadata is not in the catalogue, so the rules are here. Unless its name is in that list,
`custom_<key>` is withheld

- if a word of its key, at any depth, is one of IP_WORDS or TEXT_WORDS;
- if a text in it holds an IP address;
- if a text in it is free text: more than MAX_CHARACTERS, more than MAX_WORDS, or a line break;

and it is private if a word of its key is one of ADDRESS_WORDS or a text in it is an e-mail address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final

from django.core.signals import setting_changed

from featureflags.contexts.attributes import (
    CUSTOM_PREFIX,
    SEGMENT_NAMES,
    Privacy,
    catalogue,
    private_names,
)
from featureflags.core.conf import app_settings
from featureflags.core.types import JSONValue

EVERYTHING: Final = "*"
IDENTITY: Final = frozenset({"kind", "key", "anonymous"})
"""Every context has these."""

MAX_CHARACTERS: Final = 64
MAX_WORDS: Final = 4
"""“United States of America” is a value to target; a longer text is free text."""
IP_WORDS: Final = frozenset(
    {"ip", "ips", "ipv4", "ipv6", "ipaddr", "ipaddress", "addr", "remoteaddr", "xff"}
)
TEXT_WORDS: Final = frozenset(
    {"about", "bio", "biography", "comment", "comments", "feedback", "message", "messages"}
    | {"note", "notes", "remark", "remarks"}
)
TELLING_WORDS: Final = IP_WORDS | TEXT_WORDS
ADDRESS_WORDS: Final = frozenset({"email", "emails", "mail"})

_NAMES_KEPT: Final = 4096
decided_by_name: dict[str, Privacy] = {}
"""The decisions of `privacy_of` that depend on the name alone. Building a context reads it directly
and saves a call for each attribute. A name that is missing here is not decided yet."""
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
_IPV4 = re.compile(r"(?<!\d)(?<!\d\.)(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?![\w:.])")
_ADDRESS = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")


def privacy_of(name: str, value: JSONValue) -> Privacy:
    """Whether one attribute of a user is public, private or withheld."""
    privacy = decided_by_name.get(name)
    if privacy is not None:
        return privacy
    decision = _by_name(name)
    if not decision.asks_value:
        if len(decided_by_name) < _NAMES_KEPT:
            decided_by_name[name] = decision.privacy
        return decision.privacy
    if isinstance(value, str) and len(value) <= MAX_CHARACTERS:
        return _by_text(decision, value)
    return _by_value(decision, value)


def useless_names() -> dict[str, str]:
    """Names in `LAUNCHDARKLY_ATTRIBUTES` without effect, and why, as the end of a sentence."""
    found: dict[str, str] = {}
    known = {*catalogue(), *IDENTITY, *SEGMENT_NAMES, "anonymous_key"}
    for name in sorted(_listed() - {EVERYTHING}):
        attribute = catalogue().get(name)
        if attribute is not None and attribute.privacy is Privacy.WITHHELD:
            found[name] = "is withheld by the catalogue: the catalogue wins"
        elif name not in known and not name.startswith(CUSTOM_PREFIX):
            found[name] = "is not in the catalogue"
    return found


def misspelt_private_names() -> dict[str, str]:
    """Names in `PRIVATE_ATTRIBUTES` that are nearly those of an attribute, and the one meant.

    Other unknown names are fine: they may be extra attributes of single calls.
    """
    found: dict[str, str] = {}
    for name in app_settings().private_attributes:
        if name not in catalogue() and not name.startswith(CUSTOM_PREFIX):
            nearest = get_close_matches(
                name.lower(), [*catalogue(), CUSTOM_PREFIX], n=1, cutoff=0.75
            )
            if nearest:
                found[name] = nearest[0]
    return found


def sends_segments() -> bool:
    """Whether segments are sent: without them no rule in LaunchDarkly can target one."""
    return not _listed().isdisjoint({EVERYTHING, "segments"})


def is_withheld(name: str) -> bool:
    """Whether an attribute of this name is never sent, whatever its value."""
    return _by_name(name).privacy is Privacy.WITHHELD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """The decision for a name."""

    privacy: Privacy
    asks_value: bool = False
    """Whether it is metadata, whose value may make it more private."""
    is_listed: bool = False


@lru_cache(_NAMES_KEPT)
def _by_name(name: str) -> _Decision:
    # Permission to send the list of segments includes the object.
    name = "segments" if name in SEGMENT_NAMES else name
    listed, attribute = _listed(), catalogue().get(name)
    if name in IDENTITY:
        return _Decision(privacy=Privacy.PUBLIC)
    if (attribute is not None and attribute.privacy is Privacy.WITHHELD) or listed.isdisjoint(
        {EVERYTHING, name}
    ):
        return _Decision(privacy=Privacy.WITHHELD)
    marked = Privacy.PRIVATE if name in private_names() else Privacy.PUBLIC
    if not name.startswith(CUSTOM_PREFIX):
        return _Decision(privacy=marked)
    key: JSONValue = {name[len(CUSTOM_PREFIX) :]: None}
    if name not in listed and _holds(key, _is_telling, TELLING_WORDS):
        return _Decision(privacy=Privacy.WITHHELD)
    if _holds(key, _is_address, ADDRESS_WORDS):
        marked = Privacy.PRIVATE
    return _Decision(privacy=marked, asks_value=True, is_listed=name in listed)


@lru_cache(_NAMES_KEPT)
def _by_text(decision: _Decision, text: str) -> Privacy:
    """As `_by_value`, cached: many users have the same plan or country."""
    return _by_value(decision, text)


def _by_value(decision: _Decision, value: JSONValue) -> Privacy:
    """The decision for metadata that its name does not withhold."""
    if not decision.is_listed and _holds(value, _is_telling, TELLING_WORDS):
        return Privacy.WITHHELD
    if decision.privacy is Privacy.PUBLIC and _holds(value, _is_address, ADDRESS_WORDS):
        return Privacy.PRIVATE
    return decision.privacy


def _holds(value: JSONValue, test: Callable[[str], bool], words: frozenset[str]) -> bool:
    """Whether a text in the value passes the test, or a key in it has one of the words."""
    if isinstance(value, str):
        return test(value)
    if isinstance(value, list):
        return any(_holds(item, test, words) for item in value)
    if isinstance(value, dict):
        return any(
            not _words(key).isdisjoint(words) or test(key) or _holds(item, test, words)
            for key, item in value.items()
        )
    return False


def _is_telling(text: str) -> bool:
    return _is_free_text(text) or _holds_ip(text)


def _is_address(text: str) -> bool:
    return "@" in text and _ADDRESS.search(text) is not None


def _is_free_text(text: str) -> bool:
    if len(text) > MAX_CHARACTERS:
        return True
    return not text.isalnum() and (len(text.split()) > MAX_WORDS or len(text.splitlines()) > 1)


def _holds_ip(text: str) -> bool:
    if "." in text and any(_is_ip(found) for found in _IPV4.findall(text)):
        return True
    return ":" in text and any(_is_ip(found) for found in _IPV6.findall(text))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # Python refuses leading zeros, which people write all the same.
        parts = text.split(".")
        return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)
    return True


@lru_cache(_NAMES_KEPT)
def _words(key: str) -> frozenset[str]:
    """The words of a key: `lastIP`, `last_ip` and `last-ip` all hold `ip`."""
    parts = [part for part in _SEPARATORS.split(key) if part]
    camel = [word for part in parts for word in _CAMEL.findall(part)]
    return frozenset(word.lower() for word in [*parts, *camel])


@cache
def _listed() -> frozenset[str]:
    return frozenset(app_settings().launchdarkly_attributes)


def _forget_list(*, setting: str, **_kwargs: object) -> None:
    if setting == "FEATUREFLAGS":
        _listed.cache_clear()
        decided_by_name.clear()
        _by_name.cache_clear()


setting_changed.connect(_forget_list, dispatch_uid="featureflags.contexts.privacy")
