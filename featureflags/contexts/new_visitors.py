"""Visitors without a cookie, and keys that a browser made up: their own for rules, and shared in events.

Each request without a cookie gets a new key, and LaunchDarkly bills the keys that it sees in events.
So a visitor has a key of their own in events only once the cookie came back: until then anybody could
create as many billed contexts as they send requests. The same holds for a key that an API key of a browser sends,
and that no row has: `unproven` gives its context the same mark.
"""

from __future__ import annotations

from typing import Final

import msgspec
from ldclient import Context

from featureflags.contexts.results import ContextSource
from featureflags.contexts.subject_context import SubjectContext

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
        if any(part is not None and _is_nobody(part) for part in parts):
            shared = (SHARED if _is_nobody(part) else part for part in parts if part is not None)
            return Context.create_multi(*shared)
        return context
    return SHARED if _is_nobody(context) else context


def _is_nobody(context: Context) -> bool:
    return context.anonymous or type(context) is NewVisitor


def unproven(found: SubjectContext) -> SubjectContext:
    """The same, with the mark unless it is a row: anybody may have made up its key."""
    if found.source not in {ContextSource.VISITOR, ContextSource.BARE}:
        return found
    return msgspec.structs.replace(found, context=NewVisitor.of(found.context))


class NewVisitor(Context):
    """The context of a visitor whose key is not in a cookie yet, or of a key that no row has. The type is the mark: the SDK carries
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
