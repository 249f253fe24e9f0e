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
from featureflags.contexts.building import visitor_context
from featureflags.contexts.user_context import UserContext
from featureflags.core.conf import app_settings
from featureflags.core.types import JSONValue
from featureflags.evaluation import all_flags
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
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


def events_path(found: UserContext) -> str | None:
    """The stream that says when to ask again; None where this process serves none."""
    key = found.context.key
    return stream_path(who=key, keys=() if found.context.anonymous else (key,))


def flags_for_browsers() -> frozenset[str]:
    """The keys that anybody may see. LaunchDarkly marks flags, not users: any context will do."""
    declared = {key for key, flag in declared_flags().items() if flag.client_side}
    return client_side_flags(visitor_context(None).context) | declared


def _flags(found: UserContext, request: HttpRequest | None) -> dict[str, JSONValue]:
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


def _shown(found: UserContext) -> dict[str, JSONValue]:
    private = found.context.private_attributes
    attributes = found.context.to_dict()
    attributes.pop("_meta", None)
    return {
        name: value
        for name, value in attributes.items()
        if is_shown_to_self(name) and name not in private
    }
