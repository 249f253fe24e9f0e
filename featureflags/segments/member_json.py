"""Rows included and excluded by name, in JSON: LaunchDarkly's lists, and ours with an expiry.

LaunchDarkly lists users in ``included``, and contexts of other kinds in ``includedContexts``, as
``[{"contextKind": "organization", "values": ["acme"]}]``. A native document lists both in ``included``.

``includedUntil`` and ``excludedUntil`` map a user's key to an RFC 3339 instant, and ``membersFrom`` the key
of a member to the one at which the membership begins. LaunchDarkly has no such things, so that only a
native export holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from featureflags.core.i18n import gettext
from featureflags.core.input_gate import LATEST
from featureflags.segments.definitions import USER_KIND, Problem
from featureflags.segments.json_limits import text_problem

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST: Final = datetime(2, 1, 1, tzinfo=UTC) - _EPOCH
_LAST: Final = LATEST - _EPOCH

_FIELDS: Final = {True: ("included", "includedUntil"), False: ("excluded", "excludedUntil")}
_CONTEXTS: Final = {True: "includedContexts", False: "excludedContexts"}
FROM: Final = "membersFrom"
MEMBER_FIELDS: Final = frozenset(
    (*(name for names in _FIELDS.values() for name in names), *_CONTEXTS.values(), FROM)
)


def parse_members(
    raw: Mapping[str, object], kind: str = USER_KIND
) -> tuple[dict[bool, dict[str, int | None]], list[Problem]]:
    """Included (True) and excluded (False) keys of a kind with their expiry in µs, and what is wrong."""
    members: dict[bool, dict[str, int | None]] = {True: {}, False: {}}
    problems: list[Problem] = []
    for included, (listed, until) in _FIELDS.items():
        found = members[included]
        contexts = _contexts(raw, _CONTEXTS[included], kind)
        for key, expiry, problem in (*_listed(raw, listed), *contexts, *_expiring(raw, until)):
            if problem is not None:
                problems.append(Problem(code="members", message=problem))
            elif key in found and expiry is not None:
                message = gettext("%(listed)s: the user %(key)r is listed twice") % {
                    "listed": listed,
                    "key": key,
                }
                problems.append(Problem(code="members", message=message))
            else:
                found[key] = expiry
    return members, problems


def parse_begins(
    raw: Mapping[str, object], members: Mapping[bool, Mapping[str, int | None]]
) -> tuple[dict[str, int], list[Problem]]:
    """When memberships begin, by key (µs), and what is wrong. ``members``: as ``parse_members`` gives."""
    begins: dict[str, int] = {}
    problems: list[Problem] = []
    for key, instant, problem in _expiring(raw, FROM):
        if instant is None or problem is not None:
            problems.append(Problem(code="members", message=problem or ""))
            continue
        ends = [side[key] for side in members.values() if key in side]
        message = ""
        if not ends:
            message = gettext("%(name)s: %(key)r is not a member")
        elif any(until is not None and until <= instant for until in ends):
            message = gettext("%(name)s: the membership of %(key)r ends before it begins")
        if message:
            text = message % {"name": FROM, "key": key}
            problems.append(Problem(code="members", message=text))
        begins[key] = instant
    return begins, problems


def listed_kinds(raw: Mapping[str, object]) -> set[str]:
    """The kinds whose members LaunchDarkly's lists name."""
    kinds = {USER_KIND for listed, _until in _FIELDS.values() if raw.get(listed)}
    for name in _CONTEXTS.values():
        value = raw.get(name)
        for target in value if isinstance(value, list | tuple) else ():
            if isinstance(target, dict) and target.get("values"):
                kind = target.get("contextKind") or USER_KIND
                kinds.update({kind} if isinstance(kind, str) else ())
    return kinds


Targets: TypeAlias = dict[str, list[str]]
"""Keys by kind."""


def targets_of(raw: Mapping[str, object], *, included: bool) -> Targets | None:
    """The members of all kinds that LaunchDarkly's lists name; None: they are of another form."""
    found: Targets = {}
    contexts = raw.get(_CONTEXTS[included]) or []
    listed = contexts if isinstance(contexts, list | tuple) else [contexts]
    for target in ({"values": raw.get(_FIELDS[included][0])}, *listed):
        if not isinstance(target, dict):
            return None
        kind, keys = target.get("contextKind") or USER_KIND, target.get("values") or []
        is_list = isinstance(keys, list | tuple) and all(isinstance(key, str) for key in keys)
        if not isinstance(kind, str) or not is_list:
            return None
        if keys:
            found[kind] = list(dict.fromkeys((*found.get(kind, ()), *keys)))
    return found


def _contexts(
    raw: Mapping[str, object], name: str, kind: str
) -> Iterator[tuple[str, int | None, str | None]]:
    value = raw.get(name)
    if value is None:
        return
    targets = value if isinstance(value, list | tuple) else [value]
    for target in targets:
        of = (target.get("contextKind") or USER_KIND) if isinstance(target, dict) else None
        if not isinstance(of, str) or not isinstance(target, dict):
            message = gettext("%(name)s must be a list of objects with contextKind and values")
            yield "", None, message % {"name": name}
        elif of != kind and target.get("values"):
            message = gettext("%(name)s: the members are of %(of)r, and the segment of %(kind)r")
            yield "", None, message % {"name": name, "of": of, "kind": kind}
        else:
            yield from _listed({name: target.get("values")}, name)


def _listed(raw: Mapping[str, object], name: str) -> Iterator[tuple[str, int | None, str | None]]:
    value = raw.get(name)
    if value is None:
        return
    if not isinstance(value, list | tuple):
        yield "", None, gettext("%(name)s must be a list of user keys") % {"name": name}
        return
    # LaunchDarkly reads a set: a key that is listed twice says nothing new.
    for key in dict.fromkeys(item if isinstance(item, str) else "" for item in value):
        yield key, None, _key_problem(name, key)


def _expiring(raw: Mapping[str, object], name: str) -> Iterator[tuple[str, int | None, str | None]]:
    value = raw.get(name)
    if value is None:
        return
    if not isinstance(value, dict):
        yield "", None, gettext("%(name)s must map user keys to instants") % {"name": name}
        return
    for key, text in value.items():
        expiry = parse_expiry(text)
        if expiry is None:
            yield (
                "",
                None,
                gettext("%(name)s: %(text)r is not an RFC 3339 instant with an offset")
                % {"name": name, "text": text},
            )
        else:
            yield key, expiry, _key_problem(name, key)


def _key_problem(name: str, key: object) -> str | None:
    if not isinstance(key, str) or not key:
        return gettext("%(name)s must hold the keys of users, as text that is not empty") % {
            "name": name
        }
    problem = text_problem(key)
    return None if problem is None else f"{name}: {problem}"


def parse_expiry(text: object) -> int | None:
    """An RFC 3339 instant with an offset as µs since the epoch; None for anything else, and for an
    instant that some time zone cannot show."""
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        return None
    since = instant - _EPOCH
    return since // _MICROSECOND if _FIRST <= since <= _LAST else None


def format_expiry(instant: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC.

    Raises OverflowError beyond the years 1 to 9999.
    """
    return (_EPOCH + instant * _MICROSECOND).isoformat().replace("+00:00", "Z")
