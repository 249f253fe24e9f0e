"""From a snapshot and the rules to a valid LaunchDarkly Context. Only JSON passes this boundary.

One value that is no JSON makes the SDK drop a whole batch of events, other users' among them, so
that every value from outside the catalogue is looked at here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ldclient import Context

from featureflags.attributes import attributes_of, clocks_of, private_names
from featureflags.conf import app_settings
from featureflags.monitoring import report
from featureflags.results import ContextSource, Degradation
from featureflags.segments.ruleset import Ruleset
from featureflags.types import JSONValue
from users.snapshots import UserSnapshot
from users.times import to_rfc3339

logger = logging.getLogger(__name__)

MAX_DEPTH = 20
RESERVED = frozenset({"kind", "key", "anonymous", "_meta", "segments", "anonymous_key"})
"""What no extra attribute may be called: it would make the context somebody else's."""

ANONYMOUS = "anonymous"
"""The key of a visitor of whom nothing is known, not even a cookie."""


class InvalidAttribute(ValueError):  # noqa: N818 - the name says what is invalid
    """An extra attribute that LaunchDarkly cannot be given. `attribute` names it."""

    def __init__(self, attribute: str, why: str) -> None:
        super().__init__(f"The attribute {attribute!r} {why}.")
        self.attribute = attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class UserContext:
    """A context, where it comes from, and until when it holds."""

    context: Context
    source: ContextSource
    segments: tuple[str, ...] = ()
    valid_until: int | None = None
    """The instant (µs) at which an attribute or a membership changes by itself; None: never."""
    degraded: tuple[Degradation, ...] = ()

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
    """The context of a user at `now` (µs)."""
    attributes = attributes_of(snapshot, now)
    segments = tuple(sorted(ruleset.match(attributes, now=now)))
    _drop_foreign(attributes)
    attributes["segments"] = list(segments)
    return UserContext(
        context=_build(attributes),
        source=source,
        segments=segments,
        valid_until=_valid_until(snapshot, ruleset, now),
        degraded=degraded,
    )


def bare_context(key: str, *degraded: Degradation) -> UserContext:
    """The context of a user of whom nothing but the key is known. It claims no segment."""
    context = Context.from_dict({"kind": "user", "key": key})
    return UserContext(context=context, source=ContextSource.BARE, degraded=degraded)


def visitor_context(key: str | None, *degraded: Degradation) -> UserContext:
    """The context of somebody who is not logged in, by the random key of their cookie."""
    attributes: dict[str, Any] = {
        "kind": "user",
        "key": key or ANONYMOUS,
        "anonymous": True,
        "segments": [],
    }
    if key:
        attributes["anonymous_key"] = key
    context = Context.from_dict(attributes)
    return UserContext(context=context, source=ContextSource.VISITOR, degraded=degraded)


def with_extra(base: UserContext, extra: Mapping[str, object]) -> UserContext:
    """The same user with attributes for one call alone; `base` stays what it was.

    Segments are decided by the stored user alone. Raises InvalidAttribute if the settings say so;
    otherwise what is not JSON is left out, counted, and said in `degraded`.
    """
    attributes = base.context.to_dict()
    degraded = base.degraded
    for name, value in extra.items():
        why = _refusal(name, value)
        if why is None:
            attributes[name] = value
        elif app_settings().raise_invalid_attributes:
            raise InvalidAttribute(str(name), why)
        else:
            message = "The attribute %r %s. It was left out."
            report(logger, f"attribute_dropped:{name!s:.40}", message, name, why)
            degraded = (*degraded, Degradation.ATTRIBUTE_DROPPED)
    return UserContext(
        context=_from_dict(attributes),
        source=base.source,
        segments=base.segments,
        valid_until=base.valid_until,
        degraded=degraded,
    )


def with_anonymous_key(base: UserContext, key: str) -> UserContext:
    """The same user with the key of the visitor they were: a rollout by it need not flip."""
    attributes = {**base.context.to_dict(), "anonymous_key": key}
    return UserContext(
        context=_from_dict(attributes),
        source=base.source,
        segments=base.segments,
        valid_until=base.valid_until,
        degraded=base.degraded,
    )


def json_problem(value: object, depth: int = 0) -> str | None:
    """Why a value is no JSON for LaunchDarkly, as the end of a sentence; None if it is."""
    # Exact types: a lazy string or an enum behaves like text until an event is written.
    kind = type(value)
    if value is None or kind is bool:
        return None
    if kind is str:
        return None if _is_unicode(str(value)) else "contains a lone surrogate"
    if kind is int or kind is float:
        return _number_problem(value)
    if kind is list or kind is dict:
        return _container_problem(value, depth)
    return f"is {_article(kind.__name__)}, which is no JSON value"


def _number_problem(value: Any) -> str | None:
    try:
        return None if math.isfinite(value) else f"is {value}, which JSON cannot say"
    except OverflowError:
        return "is a number beyond what a double can hold"


def _container_problem(value: Any, depth: int) -> str | None:
    if depth >= MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                return f"has the key {key!r:.40}, which is no text"
    items: Collection[object] = value.values() if isinstance(value, dict) else value
    return next((why for item in items if (why := json_problem(item, depth + 1))), None)


def _refusal(name: object, value: object) -> str | None:
    if type(name) is not str or not name:
        return "needs a name that is text"
    if name in RESERVED:
        return "is decided by the user and cannot be passed"
    if name == "name" and type(value) is not str:
        return "must be text"
    return json_problem(value)


def _drop_foreign(attributes: dict[str, JSONValue]) -> None:
    """Leave out what the catalogue of a project, or a row written past it, let through."""
    for name, value in list(attributes.items()):
        why = json_problem(value)
        if why is not None:
            if app_settings().raise_invalid_attributes:
                raise InvalidAttribute(name, why)
            del attributes[name]
            message = "The attribute %r %s. It was left out."
            report(logger, f"attribute_dropped:{name}", message, name, why)


def _build(attributes: dict[str, JSONValue]) -> Context:
    attributes["kind"] = "user"
    private = [name for name in private_names() if name in attributes]
    if private:
        attributes["_meta"] = {"privateAttributes": list(private)}
    return _from_dict(attributes)


def _from_dict(attributes: dict[str, Any]) -> Context:
    context = Context.from_dict(attributes)
    if not context.valid:
        raise InvalidAttribute(str(attributes.get("key")), f"makes no context: {context.error}")
    return context


def _valid_until(snapshot: UserSnapshot, ruleset: Ruleset, now: int) -> int | None:
    """When the first attribute ticks or the first membership ends."""
    instants = [clock.next_change(now) for clock in clocks_of(snapshot).values()]
    instants += [until for _, _, until in ruleset.memberships(snapshot.key)]
    return min((at for at in instants if at is not None and at > now), default=None)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
