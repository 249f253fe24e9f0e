"""A context as it is passed on: of one kind, or of several kinds joined to a multi-context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from ldclient import Context

from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core.times import to_rfc3339
from featureflags.kinds.snapshot import USER, Address, address


class SubjectContext(msgspec.Struct, frozen=True, kw_only=True):
    """A context, its source, and how long it is valid. A struct, since one is made for each user."""

    context: Context
    source: ContextSource
    segments: tuple[str, ...] = ()
    valid_until: int | None = None
    """The instant (µs) at which an attribute or a membership changes by itself. None: never."""
    degraded: tuple[Degradation, ...] = ()
    withheld: tuple[str, ...] = ()
    """Names of attributes that this row has and that are not sent."""
    related: tuple[Address, ...] = ()
    """Rows of other kinds that belong to this one, whose contexts are still to be joined."""
    parts: tuple[SubjectContext, ...] = ()
    """Of a multi-context: the context of each kind, the one that was asked for first."""

    @property
    def own(self) -> SubjectContext:
        """Without the contexts of other kinds."""
        return self.parts[0] if self.parts else self

    @property
    def address(self) -> Address:
        """Whose context this is."""
        context = self.own.context
        return address(context.kind, context.key)

    @property
    def addresses(self) -> frozenset[Address]:
        """Of all parts."""
        return frozenset(each.address for each in self.parts or (self,))

    @property
    def all_segments(self) -> tuple[str, ...]:
        """Of all parts."""
        return tuple(key for each in self.parts or (self,) for key in each.segments)

    @property
    def user_key(self) -> str:
        """The key of the user among the parts; empty without one."""
        found = (each.context for each in self.parts or (self,) if each.context.kind == USER)
        return next((each.key for each in found), "")

    def to_dict(self) -> dict[str, Any]:
        """The context in JSON types, as commands and the API show it; instants in RFC 3339.

        A multi-context is that of its first part, with the other parts by kind in `related`.
        """
        if self.parts:
            own, *others = self.parts
            return {
                **own.to_dict(),
                "degraded": [reason.value for reason in self.degraded],
                "valid_until": None if self.valid_until is None else to_rfc3339(self.valid_until),
                "related": {each.context.kind: each.to_dict() for each in others},
            }
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


def joined(parts: Sequence[SubjectContext]) -> SubjectContext:
    """Contexts of several kinds as one multi-context; the first one is whom the question is about.

    Raises ValueError for two of one kind.
    """
    first, *others = parts
    if not others:
        return first
    context = Context.create_multi(*(each.context for each in parts))
    if not context.valid:
        raise ValueError(f"These subjects make no multi-context: {context.error}.")
    changes = [each.valid_until for each in parts if each.valid_until is not None]
    degraded = dict.fromkeys(reason for each in parts for reason in each.degraded)
    return SubjectContext(
        context=context,
        source=first.source,
        segments=first.segments,
        valid_until=min(changes, default=None),
        degraded=tuple(degraded),
        withheld=(*first.withheld, *(f"{o.context.kind}.{n}" for o in others for n in o.withheld)),
        parts=tuple(parts),
    )
