"""Visitors without a cookie: their context is their own for rules, and shared in events.

Each request without a cookie gets a new key, and LaunchDarkly bills the keys that it sees in events.
So a visitor has a key of their own in events only once the cookie came back: until then anybody could
create as many billed contexts as they send requests.
"""

from __future__ import annotations

from typing import Final

from ldclient import Context

ANONYMOUS: Final = "anonymous"
"""The key of a visitor without a cookie."""
SHARED: Final = Context.builder(ANONYMOUS).anonymous(True).build()
"""The one context that events contain for all of them."""


def for_events(context: Context) -> Context:
    """The same context; with the shared one in the place of a visitor whose key is in no cookie yet."""
    if type(context) is NewVisitor:
        return SHARED
    if context.multiple:
        parts = [
            context.get_individual_context(place)
            for place in range(context.individual_context_count)
        ]
        if any(type(part) is NewVisitor for part in parts):
            return Context.create_multi(*(for_events(part) for part in parts if part is not None))
    return context


def without_visitors(context: Context) -> Context:
    """The same context; with the shared one in the place of any visitor."""
    if context.multiple:
        parts = [
            context.get_individual_context(place)
            for place in range(context.individual_context_count)
        ]
        if any(part is not None and part.anonymous for part in parts):
            shared = (SHARED if part.anonymous else part for part in parts if part is not None)
            return Context.create_multi(*shared)
        return context
    return SHARED if context.anonymous else context


class NewVisitor(Context):
    """The context of a visitor whose key is not in a cookie yet. The type is the mark: the SDK carries
    it unchanged from the evaluation to its events."""

    @classmethod
    def of(cls, context: Context) -> NewVisitor:
        """The same context with the mark. The given one must be valid and of one kind."""
        return cls(
            context.kind,
            context.key,
            context.name,
            context.anonymous,
            {name: context.get(name) for name in context.custom_attributes},
            list(context.private_attributes) or None,
        )
