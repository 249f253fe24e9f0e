"""What one attribute is: its name, type, privacy, value, SQL, and when it changes by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import Model
from django.db.models.expressions import Combinable
from django.utils.functional import Promise

from featureflags.core.types import JSONValue
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.time_attributes import Clock


class Privacy(StrEnum):
    """How far an attribute may go; `featureflags.contexts.privacy` applies it."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Sent for LaunchDarkly's rules, and redacted from every event."""
    WITHHELD = "withheld"
    """Never sent: only segments see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedColumn:
    """A column of rows that belong to a row of the kind."""

    model: type[Model]
    back: str
    """The query path from such a row back to the row of the kind."""
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a kind, from the snapshot to the rule."""

    name: str
    type: AttributeType
    label: str | Promise
    value: Callable[[Any, int], JSONValue]
    """From a snapshot (a struct that `featureflags.kinds` makes of the declaration) and `now` (µs) to a JSON value. None: this user does not have it."""
    sql: Combinable | None = None
    """The same in SQL, for attributes that only a write changes. NULL: this user does not have it.

    Its type follows from `type`: a text, a number, a boolean, an instant whose value is written by
    `featureflags.core.times.to_rfc3339`, and JSON for lists, objects and any type. Without it, conditions on
    the attribute are finished in Python.
    """
    sql_related: RelatedColumn | None = None
    """For a list of texts in related rows: where they are."""
    elapsed_days_since: str | Combinable | None = None
    """For a number of days that have passed: the instant that they are counted from, a field or an expression."""
    clock: Callable[[Any], Clock | None] | None = None
    """When the value changes by itself. None: only a write changes it."""
    privacy: Privacy = Privacy.PUBLIC
    user_writable: bool = False
    """Whether users choose the value themselves, so that no rule should use it alone."""
    verified_by: str | None = None
    """The attribute that is true once such a value is proven."""
    shown_to_self: bool = True
    """Whether users see it of themselves."""
    choices: tuple[tuple[str, str | Promise], ...] = ()
    is_lower_case: bool = False
    """Whether every value is stored in lower case, so that a rule with capitals matches nobody."""
    is_domain: bool = False
    """Whether every value is the domain of an address, so that a rule with an @ matches nobody."""
    always_known: bool = False
    """Whether every user has it. A user without an attribute matches no condition on it, negated
    or not; the editor says so for all other attributes."""
