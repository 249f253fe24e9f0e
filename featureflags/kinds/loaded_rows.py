"""From a row that is loaded already to a snapshot, as it is: unsaved changes included."""

from __future__ import annotations

import datetime
import operator
import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Field, GeneratedField, Model, QuerySet, UUIDField
from django.utils import timezone
from django.utils.functional import Promise

from featureflags.core.json_numbers import normalised
from featureflags.core.times import EPOCH, MICROSECOND
from featureflags.kinds.paths import Relation, Step, column_type, reverse_path
from featureflags.kinds.slots import INTEGERS, LOADED, Form, Slot, texts_of_json

PLAIN_TYPES: Final = frozenset({str, int, bool, type(None)})


class UnreadableRow(ValueError):
    """A loaded row whose field has no value that could be saved; `field` names it."""

    def __init__(self, field: str) -> None:
        super().__init__(f"The field {field!r} of the loaded row holds no value to read.")
        self.field = field


class NotLoaded(LookupError):
    """A loaded row without the related rows that its kind needs."""


class LoadedRows:
    """Reads loaded rows: the fast way where every field has the type that the database gives."""

    def __init__(
        self, key: str, key_field: Field[Any, Any], slots: Sequence[Slot], make: Callable[..., Any]
    ) -> None:
        self._key, self._key_field, self._slots, self._make = key, key_field, slots, make
        own = [slot for slot in slots if slot.is_own]
        names = [key, *(slot.field.attname for slot in own)]
        self._read: Callable[[Any], tuple[Any, ...]] = operator.attrgetter(*names, key)
        self._expected = [
            _types_of(key_field, False),
            *(_types_of(s.field, True) for s in own),
        ]
        self._accepted: dict[tuple[type, ...], bool] = {}
        self._conversions = [
            (place, convert) for place, slot in enumerate(own, 1) if (convert := _converter(slot))
        ]
        self._others = [(place, slot) for place, slot in enumerate(slots, 1) if not slot.is_own]
        self._has_generated = any(isinstance(slot.field, GeneratedField) for slot in own)

    def snapshot(self, row: Any) -> Any:
        if self._has_generated and row._state.adding:
            return self._converted(row)
        values = self._read(row)
        types = tuple(map(type, values))
        is_plain = self._accepted.get(types)
        if is_plain is None:
            is_plain = self._accepted[types] = all(
                kind in expected for kind, expected in zip(types, self._expected, strict=False)
            )
        if not is_plain:
            return self._converted(row)
        found: list[Any] = [str(values[0]), *values[1:-1]]
        try:
            for place, convert in self._conversions:
                found[place] = convert(found[place])
        except TypeError:  # an instant without a time zone
            return self._converted(row)
        for place, slot in self._others:
            found.insert(place, _of_loaded(slot, row))
        return self._make(*found)

    def _converted(self, row: Any) -> Any:
        """As `snapshot`, for a row with a field that a save would convert."""
        key = _as_saved(row, self._key_field)
        if key is None:
            raise UnreadableRow(self._key)
        return self._make(str(key), *(_of_loaded(slot, row) for slot in self._slots))


def _types_of(field: Field[Any, Any], may_be_null: bool) -> frozenset[type]:
    """The types of the values that the database gives for a field; none for one that is converted."""
    kind = column_type(field).get_internal_type()
    found: set[type] = set()
    if kind in {"CharField", "TextField", "SlugField"}:
        found = {str}
    elif kind == "UUIDField":
        found = {uuid.UUID}
    elif kind == "BooleanField":
        found = {bool}
    elif kind in INTEGERS:
        found = {int}
    elif kind == "DateTimeField":
        found = {datetime.datetime}
    elif kind == "JSONField":
        found = {dict}
    return frozenset(found | ({type(None)} if may_be_null and field.null else set()))


def _converter(slot: Slot) -> Callable[[Any], Any] | None:
    """From a plain value to that of the snapshot; None: the same."""
    if slot.form in {Form.BOOLEAN, Form.NUMBER}:
        return None
    if isinstance(slot.field, DateTimeField):
        return _microseconds
    if slot.form is Form.TEXT and not isinstance(slot.field, UUIDField):
        return _lower if slot.lower_case else None
    return partial(_converted, slot)


def _microseconds(value: datetime.datetime | None) -> int | None:
    return None if value is None else (value - EPOCH) // MICROSECOND


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _of_loaded(slot: Slot, row: Model) -> Any:
    """The value of a loaded row. Raises NotLoaded or UnreadableRow."""
    if slot.is_of_rows:
        return _texts_of(slot, row)
    annotated = row.__dict__.get(LOADED + slot.name, row)
    if annotated is not row:
        return annotated if slot.decode is None else slot.decode(annotated)
    holder: Model | None = row
    for step in slot.steps:
        holder = _related(holder, step) if holder is not None else None
    if holder is None or slot.path is None:
        if slot.path is None and not row._state.adding:
            raise NotLoaded(slot.name)
        return slot.empty
    if isinstance(slot.field, GeneratedField) and holder._state.adding:
        return slot.empty  # the database has not computed it yet
    return _converted(slot, _as_saved(holder, slot.field))


def _converted(slot: Slot, value: Any) -> Any:
    """From the value of a field to that of the snapshot. Raises UnreadableRow."""
    if value is None:
        return slot.empty
    if slot.form is Form.INSTANT:
        return (value - EPOCH) // MICROSECOND
    if slot.form in {Form.OBJECT, Form.TEXTS}:
        return _collection(slot, value)
    if slot.form in {Form.TEXT, Form.KEY}:
        text = str(value)
        return text.lower() if slot.lower_case else text
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if abs(number) < float("inf") else None
    return value


def _collection(slot: Slot, value: Any) -> Any:
    if slot.form is Form.TEXTS and isinstance(value, list | tuple):
        return _sorted_texts(value)
    if slot.form is Form.TEXTS or not isinstance(value, dict):
        raise UnreadableRow(slot.name)
    # Only large floats are written in another way, and most metadata holds none.
    is_plain = all(type(item) in PLAIN_TYPES for item in value.values())
    return dict(value) if is_plain else dict(normalised(value))


def _sorted_texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(sorted({str(each) for each in values if each is not None}))


def _texts_of(slot: Slot, row: Model) -> tuple[str, ...]:
    known: Any = row.__dict__.get(slot.loaded_as or LOADED + slot.name)
    if isinstance(known, str):
        return texts_of_json(known)
    if known is not None:
        return tuple(sorted(set(known)))
    if row._state.adding or LOADED + slot.name in row.__dict__:
        return ()
    steps = [step for step in slot.steps if not step.is_parent]
    if len(steps) != 1:
        raise NotLoaded(slot.name)
    [step] = steps
    if step.accessor in getattr(row, "_prefetched_objects_cache", ()):
        texts = [getattr(each, slot.field.name) for each in getattr(row, step.accessor).all()]
    else:
        # Not by `row.groups`: its manager may leave rows out, which contexts and conditions have.
        rows: QuerySet[Any] = QuerySet(slot.steps[-1].model, using=row._state.db)
        rows = rows.filter(**{reverse_path(slot.steps): row.pk})
        texts = list(rows.values_list(slot.field.name, flat=True))
    return _sorted_texts(texts)


def _as_saved(row: Model, field: Field[Any, Any]) -> Any:
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
    if step.is_parent and isinstance(row, step.model):
        return row
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
