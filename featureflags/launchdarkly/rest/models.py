"""What LaunchDarkly's REST API sends and takes, as frozen structs. Imports nothing of ours.

Shapes and instructions: https://launchdarkly.com/docs/api/segments, API version 20240415. What we
do not use is left out; JSON of another type than documented is refused, never coerced.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

USER_KIND = "user"
"""The context kind that LaunchDarkly assumes where a clause names none."""


class Representation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that the API shows."""


class Clause(Representation, frozen=True, kw_only=True):
    """One condition of a rule, as it is shown."""

    attribute: str
    op: str
    values: tuple[Any, ...]
    """JSON values of any type."""
    context_kind: str | None = None
    negate: bool = False


class Rule(Representation, frozen=True, kw_only=True):
    id: str | None = msgspec.field(name="_id", default=None)
    clauses: tuple[Clause, ...] | None = None
    weight: int | None = None
    """In thousandths of a percent, where only a part of the matching contexts is taken."""


class Target(Representation, frozen=True, kw_only=True):
    """Contexts of one kind that were included or excluded by hand."""

    context_kind: str | None = None
    values: tuple[str, ...] | None = None


class FlagUse(Representation, frozen=True, kw_only=True):
    """A flag that targets the segment."""

    key: str


class RemoteSegment(Representation, frozen=True, kw_only=True):
    """A segment of LaunchDarkly. Lists may come as null; a summary may lack some."""

    key: str
    name: str
    tags: tuple[str, ...] | None = None
    rules: tuple[Rule, ...] | None = None
    included: tuple[str, ...] | None = None
    excluded: tuple[str, ...] | None = None
    included_contexts: tuple[Target, ...] | None = None
    excluded_contexts: tuple[Target, ...] | None = None
    unbounded: bool | None = None
    """A big segment: a list in another store, which has no rules."""
    flags: tuple[FlagUse, ...] | None = msgspec.field(name="_flags", default=None)


class FlagEnvironment(Representation, frozen=True, kw_only=True):
    """A flag as it is in one environment."""

    version: int | None = None
    last_modified: int | None = None
    """Milliseconds since the epoch."""


class RemoteFlag(Representation, frozen=True, kw_only=True):
    """A flag of a project, also one that no SDK is given."""

    key: str
    archived: bool = False
    creation_date: int | None = None
    """Milliseconds since the epoch."""
    environments: dict[str, FlagEnvironment] | None = None
    """By key; those that were asked for."""


class Link(Representation, frozen=True, kw_only=True):
    href: str


class Links(Representation, frozen=True, kw_only=True):
    next: Link | None = None


class SegmentPage(Representation, frozen=True, kw_only=True):
    items: tuple[RemoteSegment, ...]
    links: Links = msgspec.field(name="_links", default=Links())


class FlagPage(Representation, frozen=True, kw_only=True):
    items: tuple[RemoteFlag, ...]
    links: Links = msgspec.field(name="_links", default=Links())


class ErrorBody(Representation, frozen=True, kw_only=True):
    """How LaunchDarkly says what went wrong."""

    message: str
    code: str | None = None


class NewSegment(Representation, frozen=True, kw_only=True):
    """The body that creates a segment. Rules cannot be given: they are added afterwards."""

    key: str
    name: str
    description: str
    tags: tuple[str, ...]


class Instruction(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind"):
    """One instruction of a semantic patch. All instructions of a patch hold, or none does."""

    idempotent: ClassVar[bool] = True
    """Whether giving it twice is the same as giving it once."""


class NewClause(Representation, frozen=True, kw_only=True):
    """One condition of a rule, as it is sent: nothing is left to defaults."""

    context_kind: str
    attribute: str
    op: str
    negate: bool
    values: tuple[str, ...]


class AddRule(Instruction, frozen=True, kw_only=True, tag="addRule"):
    """Each time adds one more rule."""

    idempotent: ClassVar[bool] = False
    clauses: tuple[NewClause, ...]
    description: str


class RemoveRule(Instruction, frozen=True, kw_only=True, tag="removeRule"):
    """Does nothing if the rule does not exist."""

    rule_id: str


class UpdateName(Instruction, frozen=True, kw_only=True, tag="updateName"):
    value: str


class RemoveIncludedTargets(Instruction, frozen=True, kw_only=True, tag="removeIncludedTargets"):
    context_kind: str
    values: tuple[str, ...]


class RemoveExcludedTargets(Instruction, frozen=True, kw_only=True, tag="removeExcludedTargets"):
    context_kind: str
    values: tuple[str, ...]


class SemanticPatch(Representation, frozen=True, kw_only=True):
    """The body of a semantic patch."""

    environment_key: str
    instructions: tuple[Instruction, ...]
    comment: str
