"""What a snapshot holds: one slot for each source, with its SQL, and its value of a loaded row.

A slot has a form, which says how the value travels: as text, boolean, number, microseconds, a tuple of
texts, or a JSON object.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec
from django.core.exceptions import ValidationError
from django.db.models import DateField, DateTimeField, Field, ForeignKey, Model, UUIDField
from django.db.models.expressions import Combinable
from django.utils import timezone
from django.utils.functional import Promise

from featureflags.core.json_numbers import normalised
from featureflags.core.times import EPOCH, MICROSECOND
from featureflags.kinds.functions import (
    FiniteDouble,
    JSONText,
    ManyTextsAsText,
    Microseconds,
    Midnight,
    NumberText,
    Plain,
    UUIDText,
)
from featureflags.kinds.paths import Relation, Step

LOADED: Final = "_featureflags_"
"""What the annotations of `CompiledKind.loaded` begin with."""


class UnreadableRow(ValueError):
    """A loaded row whose field has no value that could be saved; `field` names it."""

    def __init__(self, field: str) -> None:
        super().__init__(f"The field {field!r} of the loaded row holds no value to read.")
        self.field = field


class NotLoaded(LookupError):
    """A loaded row without the related rows that its kind needs."""


class Form(StrEnum):
    """How a value travels in a snapshot."""

    TEXT = "text"
    BOOLEAN = "boolean"
    NUMBER = "number"
    INSTANT = "instant"
    """Microseconds since the epoch."""
    TEXTS = "texts"
    OBJECT = "object"
    KEY = "key"
    """The key of a row of another kind, as text."""


INTEGERS: Final = frozenset(
    {
        *("AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField"),
        *("SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField"),
        "PositiveSmallIntegerField",
    }
)
SUITABLE: Final[Mapping[Form, frozenset[str]]] = {
    Form.TEXT: frozenset({"CharField", "TextField", "SlugField", "UUIDField"}),
    Form.BOOLEAN: frozenset({"BooleanField"}),
    Form.NUMBER: INTEGERS | {"FloatField", "DecimalField"},
    Form.INSTANT: frozenset({"DateTimeField", "DateField"}),
    Form.TEXTS: frozenset({"CharField", "TextField", "SlugField"}),
    Form.OBJECT: frozenset({"JSONField"}),
    Form.KEY: INTEGERS | {"CharField", "TextField", "SlugField", "UUIDField"},
}
"""The types of fields (`get_internal_type`) that each form can read."""

PLAIN_TYPES: Final = frozenset({str, int, bool, type(None)})

TYPES: Final[Mapping[Form, Any]] = {
    Form.TEXT: str | None,
    Form.BOOLEAN: bool | None,
    Form.NUMBER: int | float | None,
    Form.INSTANT: int | None,
    Form.TEXTS: tuple[str, ...],
    Form.OBJECT: dict[str, Any],
    Form.KEY: str | None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One value of a snapshot."""

    name: str
    form: Form
    field: Field[Any, Any]
    """The field that is read, or the `output_field` of an expression."""
    source: Combinable
    """The value in SQL, as conditions use it."""
    path: str | None = None
    """The path that is read; None: an expression."""
    steps: tuple[Step, ...] = ()
    loaded_as: str | None = None
    lower_case: bool = False

    @property
    def is_own(self) -> bool:
        """Whether the row itself has the column."""
        return self.path is not None and not self.steps

    def column(self, model: type[Model]) -> Combinable:
        """How it is read. The casts are in SQL: converting each value would be most of Django's work."""
        if self.form is Form.TEXTS:
            return ManyTextsAsText(model, str(self.path))
        source = Plain(self.source) if self.form in {Form.BOOLEAN, Form.NUMBER} else self.source
        if self.form is Form.INSTANT:
            return Microseconds(self.source)
        return JSONText(source) if self.form is Form.OBJECT else source

    @property
    def decode(self) -> Callable[[Any], Any] | None:
        """From what `column` gives to the value; None: it is the value."""
        if self.form is Form.BOOLEAN:
            return _boolean
        if self.form is Form.TEXTS:
            return _texts
        if self.form is Form.OBJECT:
            return _object
        return None

    def of_loaded(self, row: Model) -> Any:
        """The value of a loaded row. Raises NotLoaded or UnreadableRow."""
        if self.form is Form.TEXTS:
            return self._texts_of(row)
        annotated = row.__dict__.get(LOADED + self.name, row)
        if annotated is not row:
            return annotated if self.decode is None else self.decode(annotated)
        holder: Model | None = row
        for step in self.steps:
            holder = _related(holder, step) if holder is not None else None
        if holder is None or self.path is None:
            if self.path is None and not row._state.adding:
                raise NotLoaded(self.name)
            return self.empty
        return self.converted(as_saved(holder, self.field))

    @property
    def empty(self) -> Any:
        """The value of a row without it."""
        return {} if self.form is Form.OBJECT else () if self.form is Form.TEXTS else None

    def converted(self, value: Any) -> Any:
        """From the value of a field to that of the snapshot. Raises UnreadableRow."""
        if value is None:
            return self.empty
        if self.form is Form.INSTANT:
            return (value - EPOCH) // MICROSECOND
        if self.form is Form.OBJECT:
            if not isinstance(value, dict):
                raise UnreadableRow(self.name)
            # Only large floats are written in another way, and most metadata holds none.
            is_plain = all(type(item) in PLAIN_TYPES for item in value.values())
            return dict(value) if is_plain else dict(normalised(value))
        if self.form in {Form.TEXT, Form.KEY}:
            text = str(value)
            return text.lower() if self.lower_case else text
        if isinstance(value, float | Decimal):
            number = float(value)
            return number if abs(number) < float("inf") else None
        return value

    def _texts_of(self, row: Model) -> tuple[str, ...]:
        known: Any = row.__dict__.get(self.loaded_as or LOADED + self.name)
        if isinstance(known, str):
            return _texts(known)
        if known is not None:
            return tuple(sorted(set(known)))
        if row._state.adding or LOADED + self.name in row.__dict__:
            return ()
        if len(self.steps) != 1:
            raise NotLoaded(self.name)
        rows = getattr(row, self.steps[0].accessor).all()
        texts = (getattr(each, self.field.name) for each in rows)
        return tuple(sorted({str(text) for text in texts if text is not None}))


def source_of(field: Field[Any, Any], source: Combinable, form: Form) -> Combinable:
    """The value in SQL as conditions take it, for a field of this type."""
    field = column_type(field)
    if isinstance(field, UUIDField):
        return UUIDText(source)
    if form is Form.KEY:
        return NumberText(source) if field.get_internal_type() in INTEGERS else source
    if form is Form.NUMBER and field.get_internal_type() not in INTEGERS:
        return FiniteDouble(source)
    return Midnight(source) if is_plain_date(field) else source


def is_plain_date(field: Field[Any, Any]) -> bool:
    """True for a date without a time."""
    return isinstance(field, DateField) and not isinstance(field, DateTimeField)


def column_type(field: Field[Any, Any]) -> Field[Any, Any]:
    """The field whose values the column holds: of a foreign key the one that it points to."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field


def as_saved(row: Model, field: Field[Any, Any]) -> Any:
    """The value of a field as a save would write it. Raises UnreadableRow."""
    name = field.attname
    value = getattr(row, name)
    if isinstance(value, Promise):
        value = str(value)
    if hasattr(value, "resolve_expression"):
        raise UnreadableRow(name)
    try:
        value = field.to_python(value)
    except (ValidationError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableRow(name) from error
    if value is None and not field.null:
        raise UnreadableRow(name)
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = timezone.make_aware(value, timezone.get_default_timezone())
    elif isinstance(value, datetime.date):
        value = datetime.datetime.combine(value, datetime.time(), datetime.UTC)
    # A slice of marked text, or of a choice, is plain text.
    return value[:] if isinstance(value, str) else value


def _related(row: Model, step: Step) -> Model | None:
    """The one row behind a step, if it is loaded. Raises NotLoaded."""
    if step.relation is Relation.FORWARD and row.__dict__.get(_attname(row, step.accessor)) is None:
        return None
    known: Model | None = row._state.fields_cache.get(step.accessor, row)
    if known is row:
        if row._state.adding:
            return None
        raise NotLoaded(step.accessor)
    return known


def _attname(row: Model, name: str) -> str:
    return str(row._meta.get_field(name).attname)  # type: ignore[union-attr]


def _boolean(value: Any) -> bool | None:
    return None if value is None else bool(value)


_decode_texts = msgspec.json.Decoder(list[str | None]).decode
_decode_object = msgspec.json.Decoder(
    dict[str, Any], float_hook=lambda text: normalised(float(text))
).decode


def _texts(text: str | None) -> tuple[str, ...]:
    if text is None or text == "[]":
        return ()
    return tuple(sorted({each for each in _decode_texts(text) if each is not None}))


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object as Django's JSONField reads it; whatever else is there counts as empty."""
    if text is None:
        return {}
    try:
        return _decode_object(text)
    except msgspec.MsgspecError:
        # What the ORM would not have written, and reads all the same: 1e400, NaN.
        found = normalised(json.loads(text))
        return found if isinstance(found, dict) else {}
