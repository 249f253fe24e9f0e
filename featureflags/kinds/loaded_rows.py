"""From a row that is loaded already to a snapshot, as it is: unsaved changes included."""

from __future__ import annotations

import operator
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import DateTimeField, Field, UUIDField

from featureflags.kinds.slots import INTEGERS, Form, Slot, UnreadableRow, as_saved


class LoadedRows:
    """Reads loaded rows: the fast way where every field has the type that the database gives."""

    def __init__(
        self, key: str, key_field: Field[Any, Any], slots: Sequence[Slot], make: Callable[..., Any]
    ) -> None:
        self._key, self._key_field, self._slots, self._make = key, key_field, slots, make
        own = [slot for slot in slots if slot.is_own]
        names = [key, *(slot.field.attname for slot in own)]
        self._read: Callable[[Any], tuple[Any, ...]] = operator.attrgetter(*names, key)
        self._places = [own.index(slot) + 1 if slot.is_own else 0 for slot in slots]
        self._expected = [
            _types_of(key_field, False),
            *(_types_of(s.field, True) for s in own),
        ]
        self._instants = [
            place for place, slot in enumerate(own, 1) if isinstance(slot.field, DateTimeField)
        ]
        self._accepted: dict[tuple[type, ...], bool] = {}
        self._converters = [_converter(slot) for slot in slots]

    def snapshot(self, row: Any) -> Any:
        values = self._read(row)
        types = tuple(map(type, values))
        is_plain = self._accepted.get(types)
        if is_plain is None:
            is_plain = self._accepted[types] = all(
                kind in expected for kind, expected in zip(types, self._expected, strict=False)
            )
        if not is_plain or any(
            (value := values[place]) is not None and value.tzinfo is None
            for place in self._instants
        ):
            return self._converted(row)
        slots, converters = self._slots, self._converters
        found: list[Any] = [str(values[0])]
        for place, slot, convert in zip(self._places, slots, converters, strict=True):
            if not place:
                found.append(slot.of_loaded(row))
            else:
                value = values[place]
                found.append(value if convert is None else convert(value))
        return self._make(*found)

    def _converted(self, row: Any) -> Any:
        """As `snapshot`, for a row with a field that a save would convert."""
        key = as_saved(row, self._key_field)
        if key is None:
            raise UnreadableRow(self._key)
        return self._make(str(key), *(slot.of_loaded(row) for slot in self._slots))


def _types_of(field: Field[Any, Any], may_be_null: bool) -> frozenset[type]:
    """The types of the values that the database gives for a field; none for one that is converted."""
    kind = field.get_internal_type()
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
    if slot.form is Form.TEXT and not slot.lower_case and not isinstance(slot.field, UUIDField):
        return None
    return slot.converted
