"""What is wrong with `settings.FEATUREFLAGS`, and the values that are safe to go on with.

No setting stops a process or a page: a system check names each mistake, and a value that is wrong
is replaced. Where the value decides what leaves for LaunchDarkly, the replacement sends least.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Any, Final, cast, get_type_hints
from urllib.parse import urlsplit

WRONG_TYPE: Final = "featureflags.E016"
WRONG_VALUE: Final = "featureflags.E017"
UNKNOWN: Final = "featureflags.E018"
WRONG_KEY: Final = "featureflags.E019"

FALLBACKS: Mapping[str, object] = {
    "private_attributes": ("email", "name"),
    "launchdarkly_attributes": (),
    # Nobody else has it: what is stored cannot be read, and is not used by any other process.
    "entry_keys": (base64.urlsafe_b64encode(os.urandom(32)).decode(),),
    "source": "offline",
    "sdk_key": "",
    "api_token": "",
    "metrics_token": "",
    "send_events": False,
    "visitor_events": "none",
    "summary_events_only": True,
    "sync_segments": False,
    "testers": False,
    # Somebody wanted it, or misspelt it: with it nothing is changed that should not be.
    "approve_live_segments": True,
}
"""In the place of a wrong value where the default is not the safest."""

ALSO: Mapping[str, tuple[str, ...]] = {
    # Nobody knows which attributes were to be private: none is sent but the key.
    "private_attributes": ("launchdarkly_attributes",),
    "sdk_key": ("source",),
}
"""Settings that fall back together with another one."""

LEAST: Mapping[str, float] = {
    "poll_seconds": 30,
    "warm_active_days": 1,
    "warm_batch": 1,
    "warm_range": 1,
    "warm_lease_seconds": 1,
    "max_members": 1,
    "max_rules": 1,
    "max_clauses": 1,
    "max_attribute_bytes": 64,
    "max_context_bytes": 256,
    "context_keys_capacity": 1,
    "visitor_cookie_days": 1,
}
"""The smallest value of a number; 0 for all others."""

MOST: Mapping[str, float] = {"confirm_percent": 100, "visitor_cookie_days": 36_500}
LARGEST: Final = 2**53
"""The largest value of every other number: beyond it a double is not exact."""

ENTRY_KEY_BYTES: Final = 32
ENTRY_KEY_HINT: Final = 'Make one: python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
NEVER_EMPTY: Final = frozenset({"cache", "visitor_cookie", "tester_cookie", "sync_tag", "api_url"})
COOKIE_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
KINDS_OF_KEY: Mapping[str, str] = {
    "sdk-": "an SDK key",
    "mob-": "a mobile key",
    "api-": "an API token",
}
KEYS: Mapping[str, tuple[str, frozenset[str]]] = {
    "sdk_key": ("an SDK key, which begins with sdk-", frozenset({"mob-", "api-"})),
    "api_token": ("an API token, which begins with api-", frozenset({"sdk-", "mob-"})),
}
"""What a setting wants, and the beginnings of keys that are something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingProblem:
    """One mistake in `settings.FEATUREFLAGS`."""

    setting: str
    """In lower case; the field that falls back."""
    words: str
    hint: str
    id: str

    def __str__(self) -> str:
        return f"{self.words} {self.hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The values that are valid, by field, and the problems of the others."""

    values: dict[str, Any]
    problems: tuple[SettingProblem, ...]


def examine(given: object, model: type[Any]) -> Examined:
    """`settings.FEATUREFLAGS` against the dataclass of the settings. Never raises."""
    if not isinstance(given, Mapping):
        words = f"FEATUREFLAGS must be a dict, not {_a(type(given).__name__)}."
        hint = "Until then no attribute but the key is sent."
        problem = SettingProblem(
            setting="private_attributes", words=words, hint=hint, id=WRONG_TYPE
        )
        return Examined(values=_fallbacks(["private_attributes", "source"]), problems=(problem,))
    types = _types(cast("Hashable", model))
    known = {each.name: types[each.name] for each in fields(model)}
    values: dict[str, Any] = {}
    problems: list[SettingProblem] = []
    for name, value in given.items():
        field = str(name).lower()
        if not isinstance(name, str) or field not in known:
            problems.append(_unknown(name, known))
        elif field in values:
            problems.append(_problem(field, WRONG_VALUE, "is set twice", "Keep one of the two."))
        else:
            values[field], found = _converted(field, value, known[field])
            problems += found
    wrong = [each.setting for each in problems]
    return Examined(values={**values, **_fallbacks(wrong)}, problems=tuple(problems))


@cache
def _types(model: Any) -> Mapping[str, Any]:
    """The types of its fields. Python compiles each of them anew when it is asked."""
    return get_type_hints(model)


def _fallbacks(wrong: Iterable[str]) -> dict[str, Any]:
    """Safe values for these fields; None: the default."""
    names = [name for each in wrong for name in (each, *ALSO.get(each, ()))]
    return {name: FALLBACKS.get(name) for name in names if name}


def _unknown(name: object, known: Mapping[str, object]) -> SettingProblem:
    nearest = get_close_matches(str(name).lower(), known, n=1, cutoff=0.7)
    hint = f"Did you mean {nearest[0].upper()!r}?" if nearest else "Remove it."
    # A misspelt privacy setting protects nothing: the one that was meant falls back.
    meant = nearest[0] if nearest and nearest[0] in FALLBACKS else ""
    words = f"FEATUREFLAGS has no setting {name!r}."
    return SettingProblem(setting=meant, words=words, hint=hint, id=UNKNOWN)


def _converted(field: str, value: object, wanted: Any) -> tuple[Any, list[SettingProblem]]:
    """The value in the type of the field, and what is wrong with it."""
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        if isinstance(value, str) and value in set(wanted):
            return wanted(value), []
        words = f"is {value!r}; it is one of: {', '.join(wanted)}"
        return value, [_problem(field, WRONG_VALUE, words, "Choose one of them.")]
    if wanted is bool:
        is_right = isinstance(value, bool)
        return value, [] if is_right else _wrong_type(field, value, "True or False")
    if wanted is str:
        return value, _text_problems(field, value)
    if wanted in {int, float}:
        return value, _number_problems(field, value, is_whole=wanted is int)
    return _as_names(field, value)


def _as_names(field: str, value: object) -> tuple[Any, list[SettingProblem]]:
    if not isinstance(value, list | tuple | set | frozenset):
        return value, _wrong_type(field, value, "a list of names")
    names: tuple[object, ...] = tuple(value)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            words = f"contains {name!r}, which is not a name"
            hint = "Every entry is text and not empty."
            return names, [_problem(field, WRONG_TYPE, words, hint)]
    if field == "entry_keys" and not all(is_entry_key(str(name)) for name in names):
        words = "contains something that is not a key: 32 bytes in URL-safe base64"
        return names, [_problem(field, WRONG_VALUE, words, ENTRY_KEY_HINT)]
    if field == "installations" and not all(len(str(name).split()) == 3 for name in names):
        # The entry itself is not shown: it holds a key.
        words = "contains an entry that is not a name, an address and a key"
        hint = "Write NAME https://…/api/v1 KEY, with a blank between them."
        return names, [_problem(field, WRONG_VALUE, words, hint)]
    return names, []


def is_entry_key(text: str) -> bool:
    """Whether it is 32 bytes in URL-safe base64."""
    try:
        return len(base64.b64decode(text, altchars=b"-_", validate=True)) == ENTRY_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _text_problems(field: str, value: object) -> list[SettingProblem]:
    if not isinstance(value, str):
        return _wrong_type(field, value, "text")
    if field in NEVER_EMPTY and not value:
        return [_problem(field, WRONG_VALUE, "is empty", "Name one, or remove the setting.")]
    if value != value.strip() or "\x00" in value or "\n" in value:
        hint = "Remove blanks and line breaks at its ends."
        return [_problem(field, WRONG_VALUE, "has blanks or line breaks around it", hint)]
    if field.endswith("_cookie") and not COOKIE_NAME.fullmatch(value):
        hint = "Use letters, digits, dashes and underscores."
        return [_problem(field, WRONG_VALUE, f"is {value!r}, which no cookie can be called", hint)]
    if field == "site_url" and value and not _is_site_url(value):
        hint = "Write https://flags.example.com, with the path that the site has, if it has one."
        return [_problem(field, WRONG_VALUE, "is not the address of a site", hint)]
    return _key_problems(field, value)


def _is_site_url(text: str) -> bool:
    """Whether a path can be added to it. It may hold a port, and no user, query or fragment."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = not any(character in text for character in '@?#<>|\\"') and text.isascii()
    return is_whole and is_plain and len(text.split()) == 1


def _key_problems(field: str, value: str) -> list[SettingProblem]:
    """A key of another kind. The key itself is never shown."""
    wanted, wrong = KEYS.get(field, ("", frozenset()))
    for beginning in wrong:
        if value.startswith(beginning):
            words = f"begins with {beginning}: that is {KINDS_OF_KEY[beginning]}"
            return [_problem(field, WRONG_KEY, words, f"This setting needs {wanted}.")]
    return []


def _number_problems(field: str, value: object, *, is_whole: bool) -> list[SettingProblem]:
    allowed = int if is_whole else int | float
    if not isinstance(value, allowed) or isinstance(value, bool):
        unit = " of seconds" if "seconds" in field else ""
        return _wrong_type(field, value, f"a {'whole ' if is_whole else ''}number{unit}")
    least, most = LEAST.get(field, 0), MOST.get(field, LARGEST)
    if least <= value <= most:
        return []
    upper = f" and at most {most:g}" if field in MOST else ""
    hint = f"It must be at least {least:g}{upper}."
    return [_problem(field, WRONG_VALUE, f"is {value!r}", hint)]


def _wrong_type(field: str, value: object, wanted: str) -> list[SettingProblem]:
    given = _a(type(value).__name__) if value is not None else "None"
    hint = f"Set it to {wanted}, or remove it for the default."
    return [_problem(field, WRONG_TYPE, f"must be {wanted}, not {given}", hint)]


def _problem(field: str, code: str, words: str, hint: str) -> SettingProblem:
    text = f"FEATUREFLAGS[{field.upper()!r}] {words}."
    return SettingProblem(setting=field, words=text, hint=hint, id=code)


def _a(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
