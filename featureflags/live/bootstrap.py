"""What a browser starts with: its flags, and who it is for LaunchDarkly, with no request to anybody.

    {"clientSideId": "65f…", "context": {"kind": "user", "key": "8a2c…"}, "hash": "1f0…",
     "flags": {"new-checkout": true, "$flagsState": {…}, "$valid": true},
     "events": "/guidon/events?ticket=…"}

Only the flags for browsers, and of the user only what users may see of themselves and what is not
private: a page is read by its user and by every script in it.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from featureflags.contexts.attributes import is_shown_to_self
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.conf import app_settings
from featureflags.core.types import JSONValue
from featureflags.evaluation import all_flags
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from featureflags.kinds.snapshot import Address
from featureflags.launchdarkly.evaluator import browser_state, client_side_flags, secure_mode_hash
from featureflags.live.tickets import stream_path


def bootstrap(request: HttpRequest | None) -> dict[str, Any]:
    """For the user or visitor of a request; without one, for an anonymous visitor. No events are sent."""
    found = resolve(None, request=request)
    return {
        "clientSideId": app_settings().client_side_id or None,
        "context": _shown(found),
        "hash": secure_mode_hash(found.context),
        "flags": _flags(found, request),
        "events": events_path(found),
    }


def events_path(found: SubjectContext) -> str | None:
    """The stream that says when to ask again; None where this process serves none."""
    own = found.own.context
    return stream_path(who=own.key, keys=() if own.anonymous else rows_of(found))


def rows_of(found: SubjectContext) -> tuple[Address, ...]:
    """The rows whose changes change the answers, in an order that stays."""
    return tuple(each.address for each in found.parts or (found,))


def flags_for_browsers() -> frozenset[str]:
    """The keys that anybody may see: LaunchDarkly's own mark, or that of the declaration."""
    declared = {key for key, flag in declared_flags().items() if flag.client_side}
    return client_side_flags() | declared


def _flags(found: SubjectContext, request: HttpRequest | None) -> dict[str, JSONValue]:
    """The values as the server evaluates them, forced and overridden ones too."""
    state = browser_state(found.context)
    visible = flags_for_browsers()
    values = {key: each.value for key, each in all_flags(request=request).items() if key in visible}
    # Of a forced value LaunchDarkly knows no variation.
    known = {
        key: about
        for key, about in state["$flagsState"].items()
        if key in values and state.get(key) == values[key]
    }
    return {**values, "$flagsState": known, "$valid": state["$valid"]}


def _shown(found: SubjectContext) -> dict[str, JSONValue]:
    if found.parts:
        shown = {each.context.kind: _shown(each) for each in found.parts}
        # Each part of a multi-context is named by its kind, which it does not repeat.
        for part in shown.values():
            part.pop("kind", None)
        return {"kind": "multi", **shown}
    context = found.context
    attributes = context.to_dict()
    attributes.pop("_meta", None)
    return {
        name: value
        for name, value in attributes.items()
        if is_shown_to_self(name, context.kind) and name not in context.private_attributes
    }
