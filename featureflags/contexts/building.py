"""From a snapshot and the rules to a valid LaunchDarkly Context. Only JSON passes this boundary.

What the catalogue and the settings withhold goes no further than here, see `privacy`. What is sent
is JSON, see `boundary`, and no larger than the settings allow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import msgspec
from ldclient import Context

from featureflags.contexts.attributes import (
    RESERVED_NAMES,
    SEGMENT_NAMES,
    Privacy,
    attributes_of,
    clocks_of,
)
from featureflags.contexts.json_limits import copied, json_size, text_problem
from featureflags.contexts.json_limits import json_problem as json_problem
from featureflags.contexts.privacy import decided_by_name, privacy_of
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core.conf import SegmentsAs, app_settings
from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.segments.ruleset import Ruleset
from users.snapshots import UserSnapshot
from users.times import to_rfc3339

logger = logging.getLogger(__name__)

RESERVED = RESERVED_NAMES | {"key"}
"""What no extra attribute may be called: it would make the context somebody else's."""

NEVER_TOO_LARGE = frozenset({"kind", "key", "anonymous", *SEGMENT_NAMES})
"""Without these a context is somebody else's, or no rule finds it: no limit leaves them out."""

_CONTAINERS = frozenset({list, dict})

NOTHING: Mapping[str, JSONValue] = MappingProxyType({})

ANONYMOUS = "anonymous"
"""The key of a visitor of whom nothing is known, not even a cookie."""


class InvalidAttribute(ValueError):  # noqa: N818 - the name says what is invalid
    """An extra attribute that LaunchDarkly cannot be given. `attribute` names it."""

    def __init__(self, attribute: str, why: str) -> None:
        super().__init__(f"The attribute {attribute!r} {why}.")
        self.attribute = attribute


class UserContext(msgspec.Struct, frozen=True, kw_only=True):
    """A context, where it comes from, and until when it holds. A struct: made for each user."""

    context: Context
    source: ContextSource
    segments: tuple[str, ...] = ()
    valid_until: int | None = None
    """The instant (µs) at which an attribute or a membership changes by itself; None: never."""
    degraded: tuple[Degradation, ...] = ()
    withheld: tuple[str, ...] = ()
    """Names of attributes that this user has and LaunchDarkly is not given."""

    def to_dict(self) -> dict[str, Any]:
        """The context in JSON types, as commands and the API show it; instants in RFC 3339."""
        attributes = self.context.to_dict()
        attributes.pop("_meta", None)
        return {
            "key": self.context.key,
            "attributes": attributes,
            "private_attributes": sorted(self.context.private_attributes or ()),
            "segments": list(self.segments),
            "source": self.source.value,
            "degraded": [reason.value for reason in self.degraded],
            "valid_until": None if self.valid_until is None else to_rfc3339(self.valid_until),
        }


def user_context(
    snapshot: UserSnapshot,
    ruleset: Ruleset,
    now: int,
    *,
    source: ContextSource,
    degraded: tuple[Degradation, ...] = (),
) -> UserContext:
    """The context of a user at `now` (µs). Segments see every attribute, LaunchDarkly what it may.

    Raises InvalidAttribute if the settings say so; otherwise what cannot be sent is left out,
    counted, and said in `degraded`.
    """
    attributes = attributes_of(snapshot, now)
    segments = tuple(sorted(ruleset.match(attributes, now=now)))
    return _told(
        attributes,
        UserContext(
            context=_ANYBODY,
            source=source,
            segments=segments,
            valid_until=_valid_until(snapshot, ruleset, now),
            degraded=degraded,
        ),
        own=_as_attributes(segments),
    )


def bare_context(key: str, *degraded: Degradation) -> UserContext:
    """The context of a user of whom nothing but the key is known. It claims no segment."""
    context = Context.from_dict({"kind": "user", "key": _sayable(key)})
    return UserContext(context=context, source=ContextSource.BARE, degraded=degraded)


def visitor_context(key: str | None, *degraded: Degradation) -> UserContext:
    """The context of somebody who is not logged in, by the random key of their cookie."""
    attributes: dict[str, JSONValue] = {
        "key": _sayable(key) if key else ANONYMOUS,
        "anonymous": True,
        **_as_attributes(()),
    }
    if key:
        attributes["anonymous_key"] = attributes["key"]
    visitor = UserContext(context=_ANYBODY, source=ContextSource.VISITOR, degraded=degraded)
    return _told(attributes, visitor)


def with_extra(base: UserContext, extra: Mapping[str, object]) -> UserContext:
    """The same user with attributes for one call alone; `base` stays what it was.

    Segments are decided by the stored user alone. Raises InvalidAttribute if the settings say so;
    otherwise what is not JSON is left out, counted, and said in `degraded`. What is withheld is
    left out, and said in `withheld`.
    """
    checked = _only_json(extra, _refusal)
    return _told({**_of(base), **checked.attributes}, base, is_whole=checked.is_whole)


def with_anonymous_key(base: UserContext, key: str) -> UserContext:
    """The same user with the key of the visitor they were: a rollout by it need not flip."""
    return _told({**_of(base), "anonymous_key": _sayable(key)}, base)


def event_data(data: object, metric_value: object) -> tuple[JSONValue, float | None]:
    """What may be told with an event: JSON, and a finite number, in lists and dicts of our own.

    Raises InvalidAttribute if the settings say so; otherwise what cannot be told is left out and
    counted.
    """
    checked = _only_json({"data": data})
    kind = type(metric_value)
    if metric_value is not None:
        why = json_problem(metric_value) if kind in {int, float} else "must be a number"
        if why is not None:
            _refuse("metric_value", why)
            metric_value = None
    told = checked.attributes.get("data")
    if told is not None and json_size(told) > app_settings().max_context_bytes:
        _refuse("data", _too_large(json_size(told), app_settings().max_context_bytes))
        told = None
    return told, cast("float | None", metric_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """Attributes that are JSON, and whether others were left out."""

    attributes: dict[str, JSONValue]
    is_whole: bool = True


def _refusal(name: object, value: object) -> str | None:
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
        return "has a name that is no Unicode text"
    return json_problem(value)


def _only_json(
    given: Mapping[str, object], refusal: Callable[[str, object], str | None] = _problem
) -> _Checked:
    """What can be sent, in lists and dicts of its own; the rest is refused by name."""
    found: dict[str, JSONValue] = {}
    for name, value in given.items():
        if (why := refusal(name, value)) is not None:
            _refuse(name, why)
        elif type(value) in _CONTAINERS:
            found[name] = copied(value)  # type: ignore[arg-type]  # JSON: there is no problem
        else:
            found[name] = value  # type: ignore[assignment]  # the same
    return _Checked(attributes=found, is_whole=len(found) == len(given))


def _refuse(name: object, why: str) -> None:
    """Raise, or count and log once a minute, as the settings say. Only the name is told."""
    shown = name if type(name) is str else f"({type(name).__name__})"
    if app_settings().raise_invalid_attributes:
        raise InvalidAttribute(shown, why)
    message = "The attribute %r %s. It was left out."
    report(logger, f"attribute_dropped:{shown:.40}", message, shown, why)


def _told(
    attributes: Mapping[str, object],
    base: UserContext,
    *,
    own: Mapping[str, JSONValue] = NOTHING,
    is_whole: bool = True,
) -> UserContext:
    """`base` with these attributes for LaunchDarkly, as far as it may have them.

    Those that are our `own` making are known to be JSON, and nobody else's to change.
    """
    sorted_out = _sorted_out(attributes)
    sent, private = sorted_out.sent, [*(base.context.private_attributes or ()), *sorted_out.private]
    withheld = [*base.withheld, *sorted_out.withheld]
    for name, value in own.items():
        if privacy_of(name, value) is Privacy.WITHHELD:
            withheld.append(name)
        else:
            sent[name] = value
    is_whole = _shrink(sent) and sorted_out.is_whole and is_whole
    if private and (named := [name for name in dict.fromkeys(private) if name in sent]):
        sent["_meta"] = {"privateAttributes": named}
    context = Context.from_dict(sent)
    if not context.valid:
        raise InvalidAttribute(str(sent.get("key")), f"makes no context: {context.error}")
    return UserContext(
        context=context,
        source=base.source,
        segments=base.segments,
        valid_until=base.valid_until,
        degraded=base.degraded if is_whole else (*base.degraded, Degradation.ATTRIBUTE_DROPPED),
        withheld=tuple(dict.fromkeys(withheld)) if withheld else (),
    )


class _SortedOut(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes by what LaunchDarkly may do with them."""

    sent: dict[str, Any]
    private: list[str]
    """Names of those that are sent, and redacted from every event."""
    withheld: list[str]
    is_whole: bool
    """Whether all of them are JSON."""


def _sorted_out(attributes: Mapping[str, Any]) -> _SortedOut:
    """One look at each attribute: this is most of what a context costs."""
    sent: dict[str, Any] = {"kind": "user"}
    private: list[str] = []
    withheld: list[str] = []
    is_whole = True
    decided, is_private, is_withheld = decided_by_name, Privacy.PRIVATE, Privacy.WITHHELD
    for name, value in attributes.items():
        kind = type(value)
        is_plain = kind is bool or (kind is str and value.isascii())
        if not (is_plain and name.isascii()) and (why := _problem(name, value)) is not None:
            _refuse(name, why)
            is_whole = False
            continue
        privacy = decided.get(name) or privacy_of(name, value)
        if privacy is is_withheld:
            withheld.append(name)
            continue
        if privacy is is_private:
            private.append(name)
        sent[name] = copied(value) if kind in _CONTAINERS else value
    return _SortedOut(sent=sent, private=private, withheld=withheld, is_whole=is_whole)


def _as_attributes(segments: Collection[str]) -> dict[str, JSONValue]:
    """The segments as a list, as an object, or as both, as the settings say.

    A clause on a list costs LaunchDarkly's evaluator as many steps as the list is long, one on
    `/segment/KEY` a single look-up.
    """
    shape = app_settings().segments_as
    found: dict[str, JSONValue] = {}
    if shape is not SegmentsAs.OBJECT:
        found["segments"] = list(segments)
    if shape is not SegmentsAs.LIST:
        found["segment"] = dict.fromkeys(segments, True)
    return found


def _shrink(attributes: dict[str, Any]) -> bool:
    """Leave out what is larger than the settings allow; say whether nothing was."""
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
            why = _too_large(size, settings.max_attribute_bytes)
        elif total > settings.max_context_bytes:
            why = f"makes the context too large: {_too_large(total, settings.max_context_bytes)}"
        else:
            break
        _refuse(name, why)
        del attributes[name]
        total -= size
        is_whole = False
    return is_whole


def _too_large(size: int, most: int) -> str:
    return f"takes {size:,} bytes as JSON; {most:,} are allowed"


def _of(base: UserContext) -> dict[str, JSONValue]:
    attributes = base.context.to_dict()
    attributes.pop("_meta", None)
    return attributes


def _sayable(key: str) -> str:
    """A key that can be written: half a character would cost the events of others."""
    return key if text_problem(key) is None else key.encode(errors="backslashreplace").decode()


_ANYBODY = Context.create(ANONYMOUS)
"""In the place of a context that is yet to be built."""


def _valid_until(snapshot: UserSnapshot, ruleset: Ruleset, now: int) -> int | None:
    """When the first attribute ticks or the first membership ends."""
    found: int | None = None
    for clock in clocks_of(snapshot).values():
        at = clock.next_change(now)
        if at is not None and at > now and (found is None or at < found):
            found = at
    for _, _, until in ruleset.memberships(snapshot.key):
        if until is not None and until > now and (found is None or until < found):
            found = until
    return found
