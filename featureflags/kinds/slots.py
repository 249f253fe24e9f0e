"""What a snapshot holds: one slot for each source, with its SQL. `loaded_rows` reads it of a loaded row.

A slot has a form, which says how the value travels: as text, boolean, number, microseconds, a tuple of
texts, or a JSON object.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
from django.db.models import DateField, DateTimeField, Field, ForeignKey, Model, UUIDField
from django.db.models.expressions import Combinable

from featureflags.core.json_numbers import normalised
from featureflags.kinds.functions import (
    ArrayTexts,
    Exact,
    FiniteDouble,
    JSONText,
    ManyTextsAsText,
    Microseconds,
    Midnight,
    NumberText,
    Plain,
    UUIDText,
)
from featureflags.kinds.paths import Step, column_type, named, reverse_path

LOADED: Final = "_featureflags_"
"""What the annotations of `CompiledKind.loaded` begin with."""


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
    is_of_rows: bool = dataclasses.field(init=False)
    """Whether it is a list of texts in other rows, and not one array. Known once: each check of a row asks."""

    def __post_init__(self) -> None:
        of_rows = self.form is Form.TEXTS and any(step.is_many for step in self.steps)
        object.__setattr__(self, "is_of_rows", of_rows)

    @property
    def is_own(self) -> bool:
        """Whether the row itself has the value, in its own table or in a parent's."""
        return self.path is not None and all(step.is_parent for step in self.steps)

    def column(self, model: type[Model]) -> Combinable:
        """How it is read. The casts are in SQL: converting each value would be most of Django's work."""
        if self.is_of_rows:
            return ManyTextsAsText(model, str(self.path))
        source = Plain(self.source) if self.form in {Form.BOOLEAN, Form.NUMBER} else self.source
        if self.form is Form.INSTANT:
            return Microseconds(self.source)
        return JSONText(source) if self.form in {Form.OBJECT, Form.TEXTS} else source

    @property
    def decode(self) -> Callable[[Any], Any] | None:
        """From what `column` gives to the value; None: it is the value."""
        if self.form is Form.BOOLEAN:
            return _boolean
        if self.form is Form.TEXTS:
            return texts_of_json
        if self.form is Form.OBJECT:
            return _object
        return None

    @property
    def empty(self) -> Any:
        """The value of a row without it."""
        return {} if self.form is Form.OBJECT else () if self.form is Form.TEXTS else None


def refuse_path(steps: Sequence[Step], field: Field[Any, Any], form: Form, source: str) -> None:
    """Raises TypeError for a path that leads to more or fewer values than the form holds, or as `refuse_type`."""
    is_many = any(step.is_many for step in steps)
    if is_many and form is not Form.TEXTS:
        raise TypeError(f"{source} leads to many rows: use Many, or a subquery.")
    if is_many and is_array(field):
        raise TypeError(f"{source} leads to an array in each of many rows.")
    if form is Form.TEXTS and not is_many and not is_array(field):
        raise TypeError(f"{source} leads to one row.")
    if is_many:
        reverse_path(steps)  # raises where there is none
    refuse_type(field, form, source)


def refuse_type(field: Field[Any, Any], form: Form, source: str) -> None:
    """Raises TypeError for a field whose values the form cannot hold, or the database cannot compare."""
    name, plain = named(field), column_type(field)
    is_link = isinstance(field, ForeignKey) and form is not Form.KEY
    if form is Form.TEXTS and is_array(plain):
        plain = plain.base_field  # type: ignore[attr-defined]
    if is_link or plain.get_internal_type() not in SUITABLE[form]:
        raise TypeError(f"{source} is {name}, which does not fit {form}.")
    convert = getattr(plain, "from_db_value", None)
    if convert is not None and not convert.__module__.startswith("django."):
        raise TypeError(
            f"{source} is {name}, which converts what it reads (from_db_value), so that conditions would "
            "compare other values in the database: use an expression, such as Cast."
        )


def is_array(field: Field[Any, Any]) -> bool:
    """True for PostgreSQL's ArrayField, whose module needs psycopg."""
    return hasattr(field, "base_field") and hasattr(field, "size")


def source_of(field: Field[Any, Any], source: Combinable, form: Form) -> Combinable:
    """The value in SQL as conditions take it, for a field of this type."""
    field = column_type(field)
    if is_array(field):
        return ArrayTexts(source)
    if isinstance(field, UUIDField):
        return UUIDText(source)
    if form is Form.TEXT and getattr(field, "db_collation", None):
        return Exact(source)
    if form is Form.KEY:
        return NumberText(source) if field.get_internal_type() in INTEGERS else source
    if form is Form.NUMBER and field.get_internal_type() not in INTEGERS:
        return FiniteDouble(source)
    return Midnight(source) if is_plain_date(field) else source


def is_plain_date(field: Field[Any, Any]) -> bool:
    """True for a date without a time."""
    return isinstance(field, DateField) and not isinstance(field, DateTimeField)


def _boolean(value: Any) -> bool | None:
    return None if value is None else bool(value)


_decode_texts = msgspec.json.Decoder(list[str | None]).decode
_decode_object = msgspec.json.Decoder(
    dict[str, Any], float_hook=lambda text: normalised(float(text))
).decode


def texts_of_json(text: str | None) -> tuple[str, ...]:
    """From a JSON list: sorted, each once."""
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
