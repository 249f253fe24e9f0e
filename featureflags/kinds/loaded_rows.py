"""From a row that is loaded already to a snapshot, as it is: unsaved changes included."""

from __future__ import annotations

import operator
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import DateTimeField, Field, UUIDField

from featureflags.core.times import EPOCH, MICROSECOND
from featureflags.kinds.slots import INTEGERS, Form, Slot, UnreadableRow, as_saved, column_type


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

    def snapshot(self, row: Any) -> Any:
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
            found.insert(place, slot.of_loaded(row))
        return self._make(*found)

    def _converted(self, row: Any) -> Any:
        """As `snapshot`, for a row with a field that a save would convert."""
        key = as_saved(row, self._key_field)
        if key is None:
            raise UnreadableRow(self._key)
        return self._make(str(key), *(slot.of_loaded(row) for slot in self._slots))


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
        found = {datetime}
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
    return slot.converted


def _microseconds(value: datetime | None) -> int | None:
    return None if value is None else (value - EPOCH) // MICROSECOND


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()
