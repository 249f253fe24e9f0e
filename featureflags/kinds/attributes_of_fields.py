"""From a declared field and its slot to an attribute: type, value, SQL, and clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import EmailField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import NullIf
from django.utils.choices import flatten_choices, normalize_choices
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from featureflags.core.times import to_plain_date, to_rfc3339
from featureflags.core.types import MICROSECONDS_PER_DAY, JSONValue
from featureflags.kinds.attribute import Attribute, Privacy, RelatedColumn
from featureflags.kinds.declaration import (
    Boolean,
    DaysSince,
    Declared,
    Domain,
    Instant,
    Many,
    Number,
    Text,
)
from featureflags.kinds.functions import EmailDomain
from featureflags.kinds.paths import reverse_path
from featureflags.kinds.slots import Form, Slot, is_plain_date
from featureflags.kinds.snapshot import USER
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.time_attributes import Clock, ElapsedDays

_TYPES: dict[type[Declared], AttributeType] = {
    Text: AttributeType.STRING,
    Domain: AttributeType.STRING,
    Boolean: AttributeType.BOOLEAN,
    Number: AttributeType.NUMBER,
    Instant: AttributeType.DATETIME,
    DaysSince: AttributeType.NUMBER,
    Many: AttributeType.LIST,
}


def elapsed_days(since: int, now: int) -> int:
    """Days of 24 hours between two instants (µs), floored, never negative."""
    return max(0, (now - since) // MICROSECONDS_PER_DAY)


def key_attribute(sql: Combinable, *, kind: str, lower_case: bool) -> Attribute:
    """The key, which every kind has."""
    return Attribute(
        name="key",
        type=AttributeType.STRING,
        label=_("User key") if kind == USER else _("Key"),
        value=lambda snapshot, _now: snapshot.key,
        sql=sql,
        is_lower_case=lower_case,
        always_known=True,
    )


def attribute_of(name: str, declared: Declared, slot: Slot) -> Attribute:
    """The attribute that a field declares; `slot` is where its value lies."""
    is_days = isinstance(declared, DaysSince)
    return Attribute(
        name=name,
        type=_TYPES[type(declared)],
        label=declared.label or _label(name, slot),
        value=_value(declared, slot),
        sql=None if is_days or slot.is_of_rows else _sql(declared, slot),
        sql_related=_related(slot) if slot.is_of_rows else None,
        elapsed_days_since=slot.source if is_days else None,
        clock=_clock(slot.name) if is_days else None,
        privacy=_privacy(declared),
        user_writable=declared.user_writable,
        verified_by=declared.verified_by,
        shown_to_self=declared.shown_to_self is not False,
        choices=_choices(declared, slot),
        is_lower_case=isinstance(declared, Domain) or bool(getattr(declared, "lower_case", False)),
        is_domain=isinstance(declared, Domain),
        always_known=_always_known(declared, slot),
    )


def _value(declared: Declared, slot: Slot) -> Callable[[Any, int], JSONValue]:
    name = slot.name
    if isinstance(declared, Domain):
        return lambda snapshot, _now: (getattr(snapshot, name) or "").rpartition("@")[2] or None
    if isinstance(declared, Instant):
        write = to_plain_date if is_plain_date(slot.field) else to_rfc3339
        return lambda snapshot, _now: None if (at := getattr(snapshot, name)) is None else write(at)
    if isinstance(declared, DaysSince):
        return lambda snapshot, now: (
            None if (at := getattr(snapshot, name)) is None else elapsed_days(at, now)
        )
    if isinstance(declared, Many):
        return lambda snapshot, _now: list(getattr(snapshot, name))
    if isinstance(declared, Text) and declared.blank_is_missing:
        return lambda snapshot, _now: getattr(snapshot, name) or None
    return lambda snapshot, _now: getattr(snapshot, name)


def _related(slot: Slot) -> RelatedColumn:
    back = reverse_path(slot.steps)
    return RelatedColumn(model=slot.steps[-1].model, back=back, column=slot.field.name)


def _sql(declared: Declared, slot: Slot) -> Combinable:
    if isinstance(declared, Domain):
        return EmailDomain(slot.source)
    if isinstance(declared, Text) and declared.blank_is_missing:
        return NullIf(slot.source, Value(""))
    return slot.source


def _clock(name: str) -> Callable[[Any], Clock | None]:
    return lambda snapshot: (
        None if (at := getattr(snapshot, name)) is None else ElapsedDays(since=at)
    )


def _privacy(declared: Declared) -> Privacy:
    if declared.withheld:
        return Privacy.WITHHELD
    return Privacy.PRIVATE if declared.private else Privacy.PUBLIC


def _choices(declared: Declared, slot: Slot) -> tuple[tuple[str, str | Promise], ...]:
    if not isinstance(declared, Text):
        return ()
    given = declared.choices
    pairs: Any = list(slot.field.flatchoices if given is None else normalize_choices(given))
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise TypeError("The choices must be pairs of a value and its label.")
    flat: Iterable[tuple[Any, Any]] = flatten_choices(pairs)
    return tuple((str(value), label) for value, label in flat if value not in {None, ""})


def _always_known(declared: Declared, slot: Slot) -> bool:
    if declared.always_known is not None:
        return declared.always_known
    if isinstance(declared, Many):
        return True
    is_blank = isinstance(declared, Domain) or (
        isinstance(declared, Text) and declared.blank_is_missing
    )
    return slot.is_own and not slot.field.null and not is_blank


def _label(name: str, slot: Slot) -> str | Promise:
    named = str(getattr(slot.field, "verbose_name", "") or "")
    return capfirst(name.replace("_", " ")) if not slot.is_own or not named else capfirst(named)


def sample_of(slot: Slot, now: int) -> Any:
    """A value as a slot may hold it at `now` (µs)."""
    choices = slot.field.flatchoices if slot.form is Form.TEXT else ()
    if choices:
        return str(choices[0][0])
    return {
        Form.TEXT: "ada@example.com" if isinstance(slot.field, EmailField) else "text",
        Form.BOOLEAN: True,
        Form.NUMBER: 3,
        Form.INSTANT: now - 86_400_000_000,
        Form.TEXTS: ("beta",),
        Form.KEY: "1",
        Form.OBJECT: {"plan": "paid", "seats": 3, "tags": ["a"], "address": {"city": "London"}},
    }[slot.form]
