"""From a snapshot and the rules to a valid LaunchDarkly context.

What comes in: a `Snapshot`, the compiled rules, the instant. What goes out: a `SubjectContext`, for
example

    SubjectContext(
        context=Context({"kind": "user", "key": "8a2c…", "role": "user", "segments": ["new_user"]}),
        source=ContextSource.CACHE,
        segments=("new_user",),
        valid_until=1767225600000000,
    )

Segments see every attribute; LaunchDarkly receives what `sendable` and `privacy` allow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, cast

from ldclient import Context

from featureflags.contexts.attributes import Privacy, attributes_of, clocks_of, related_rows
from featureflags.contexts.json_limits import json_problem, json_size
from featureflags.contexts.new_visitors import ANONYMOUS, SHARED, NewVisitor
from featureflags.contexts.privacy import privacy_of
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.sendable import (
    InvalidAttribute,
    extra_refusal,
    only_json,
    refuse,
    sayable,
    shrink,
    sorted_out,
    too_large,
)
from featureflags.contexts.subject_context import SubjectContext, joined
from featureflags.core.conf import SegmentsAs, app_settings
from featureflags.core.types import Attributes, JSONValue
from featureflags.kinds.snapshot import USER, Address, Snapshot, kind_and_key
from featureflags.segments.next_change import moving_changes
from featureflags.segments.ruleset import Ruleset

NOTHING: Mapping[str, JSONValue] = MappingProxyType({})


def row_context(
    snapshot: Snapshot,
    ruleset: Ruleset,
    now: int,
    *,
    source: ContextSource,
    degraded: tuple[Degradation, ...] = (),
) -> SubjectContext:
    """The context of a row at `now` (µs). Segments see every attribute, LaunchDarkly what it may.

    Raises InvalidAttribute if the settings say so. Otherwise an attribute that cannot be sent is
    left out and counted, and `degraded` contains ATTRIBUTE_DROPPED.
    """
    failed: list[str] = []
    attributes = attributes_of(snapshot, now, failed=failed)
    segments = tuple(sorted(ruleset.match(attributes, now=now, kind=snapshot.kind)))
    valid_until = _valid_until(snapshot, attributes, ruleset, now, failed)
    return _built(
        attributes,
        SubjectContext(
            context=_ANYBODY,
            source=source,
            segments=segments,
            valid_until=valid_until,
            degraded=degraded,
            related=related_rows(snapshot),
        ),
        own=_as_attributes(segments),
        is_whole=not failed,
        kind=snapshot.kind,
    )


def bare_context(row: Address, *degraded: Degradation) -> SubjectContext:
    """A context with nothing but the row's key, in no segment."""
    kind, key = kind_and_key(row)
    context = Context.from_dict({"kind": kind, "key": sayable(key)})
    return SubjectContext(context=context, source=ContextSource.BARE, degraded=degraded)


def visitor_context(
    key: str | None, *degraded: Degradation, is_new: bool = False
) -> SubjectContext:
    """The context of a visitor who is not logged in, by the random key in their cookie.

    `is_new`: the key was made in this request, so that events name no key (`new_visitors`).
    """
    attributes: dict[str, JSONValue] = {
        "key": sayable(key) if key else ANONYMOUS,
        "anonymous": True,
        **_as_attributes(()),
    }
    if key:
        attributes["anonymous_key"] = attributes["key"]
    placeholder = _NEW_VISITOR if is_new else _ANYBODY
    visitor = SubjectContext(context=placeholder, source=ContextSource.VISITOR, degraded=degraded)
    return _built(attributes, visitor)


def with_extra(base: SubjectContext, extra: Mapping[str, object]) -> SubjectContext:
    """The same user with extra attributes for one call; `base` is not changed.

    The stored user alone decides the segments. Raises InvalidAttribute if the settings say so.
    Otherwise an attribute that is not JSON is left out and counted, and `degraded` contains
    ATTRIBUTE_DROPPED. `withheld` names what privacy keeps back.
    """
    if base.parts:
        return joined([with_extra(base.own, extra), *base.parts[1:]])
    checked = only_json(extra, extra_refusal)
    attributes = {**_of(base), **checked.attributes}
    return _built(attributes, base, is_whole=checked.is_whole, kind=base.context.kind)


def with_anonymous_key(base: SubjectContext, key: str) -> SubjectContext:
    """The same user with the key that they had as a visitor, as the attribute `anonymous_key`."""
    if base.parts:
        return joined([with_anonymous_key(base.own, key), *base.parts[1:]])
    return _built({**_of(base), "anonymous_key": sayable(key)}, base)


def event_data(data: object, metric_value: object) -> tuple[JSONValue, float | None]:
    """The data and the metric of a custom event: JSON in copied containers, and a finite number.

    Raises InvalidAttribute if the settings say so. Otherwise a wrong value is left out and counted.
    """
    checked = only_json({"data": data})
    kind = type(metric_value)
    if metric_value is not None:
        why = json_problem(metric_value) if kind in {int, float} else "must be a number"
        if why is not None:
            refuse("metric_value", why)
            metric_value = None
    sent = checked.attributes.get("data")
    if sent is not None and json_size(sent) > app_settings().max_context_bytes:
        refuse("data", too_large(json_size(sent), app_settings().max_context_bytes))
        sent = None
    return sent, cast("float | None", metric_value)


def _built(
    attributes: Mapping[str, object],
    base: SubjectContext,
    *,
    own: Mapping[str, JSONValue] = NOTHING,
    is_whole: bool = True,
    kind: str = USER,
) -> SubjectContext:
    """`base` with these attributes, as far as they may be sent.

    `own` attributes are made here: they are JSON, and nobody else changes them.
    """
    parts = sorted_out(attributes, kind)
    sent, private = parts.sent, [*(base.context.private_attributes or ()), *parts.private]
    withheld = [*base.withheld, *parts.withheld]
    for name, value in own.items():
        if privacy_of(name, kind) is Privacy.WITHHELD:
            withheld.append(name)
        else:
            sent[name] = value
    is_whole = shrink(sent) and parts.is_whole and is_whole
    context = _context(sent, [name for name in dict.fromkeys(private) if name in sent])
    if type(base.context) is NewVisitor:
        context = NewVisitor.of(context)
    return SubjectContext(
        context=context,
        source=base.source,
        segments=base.segments,
        valid_until=base.valid_until,
        degraded=base.degraded if is_whole else (*base.degraded, Degradation.ATTRIBUTE_DROPPED),
        withheld=tuple(dict.fromkeys(withheld)) if withheld else (),
        related=base.related,
    )


def _context(sent: dict[str, Any], private: list[str]) -> Context:
    """The context of these attributes, which it keeps.

    As `Context.from_dict` makes it, at a tenth of its price: all is known to be JSON, and nothing is null.
    """
    kind, key = sent.pop("kind"), sent.pop("key")
    name, anonymous = sent.pop("name", None), sent.pop("anonymous", False)
    if type(name) is not str and name is not None:
        raise InvalidAttribute("name", "must be text")
    context = Context(kind, key, name, anonymous, sent or None, private or None)
    if not context.valid:
        raise InvalidAttribute(key, f"makes no context: {context.error}")
    return context


def _as_attributes(segments: Collection[str]) -> dict[str, JSONValue]:
    """The segments as a list, as an object, or as both, as the settings say.

    For a clause on the list LaunchDarkly's evaluator reads the whole list; for one on
    `/segment/KEY` it reads one key.
    """
    shape = app_settings().segments_as
    found: dict[str, JSONValue] = {}
    if shape is not SegmentsAs.OBJECT:
        found["segments"] = list(segments)
    if shape is not SegmentsAs.LIST:
        found["segment"] = dict.fromkeys(segments, True)
    return found


def _of(base: SubjectContext) -> dict[str, JSONValue]:
    attributes = base.context.to_dict()
    attributes.pop("_meta", None)
    return attributes


_ANYBODY = Context.create(ANONYMOUS)
_NEW_VISITOR = NewVisitor.of(SHARED)
"""The placeholders in a `SubjectContext` whose context is not built yet."""


def _valid_until(
    snapshot: Snapshot, attributes: Attributes, ruleset: Ruleset, now: int, failed: list[str]
) -> int | None:
    """When the first attribute changes by itself, the first date moves, or the first membership begins or
    ends."""
    clocks, kind = clocks_of(snapshot, failed=failed), snapshot.kind
    found = min(moving_changes(ruleset, attributes, clocks, now=now, kind=kind), default=None)
    for clock in clocks.values():
        at = clock.next_change(now)
        if at is not None and at > now and (found is None or at < found):
            found = at
    for _, _, *bounds in ruleset.memberships(snapshot.key, kind):
        for at in bounds:
            if at is not None and at > now and (found is None or at < found):
                found = at
    return found
