"""The key of a kind: from text to what the column holds, and back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import F, Field, Model, QuerySet, UUIDField
from django.db.models.expressions import Combinable

from featureflags.kinds.declaration import Kind
from featureflags.kinds.functions import NumberText, UUIDText
from featureflags.kinds.paths import column_type, field_of, named
from featureflags.kinds.slots import INTEGERS, SUITABLE, Form

LARGEST_INTEGER: Final = 2**63 - 1
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}").fullmatch
_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class Keys:
    """The rows of a kind by their keys, which travel as text."""

    def __init__(self, declared: type[Kind]) -> None:
        _refuse(declared)
        self.declared = declared
        self.name = declared.name
        self.model: type[Model] = declared.model
        self.key = declared.key
        own = self._key_field()
        self.key_field = column_type(own)
        """The field whose values the column holds: of a child of another model, the parent's key."""
        self.key_attribute = own.attname
        """Of a row: faster to read than its property `pk`."""
        self.is_canonical: Callable[[str], object] = (
            _CANONICAL_UUID if isinstance(self.key_field, UUIDField) else str.isalnum
        )
        """Whether `canonical` would give the same; False where that is not known at once."""
        self.read_key: Callable[[str], Any] = (
            uuid.UUID
            if isinstance(self.key_field, UUIDField)
            else int
            if self.has_integer_keys
            else str
        )
        """From the text of a key to what a loaded row has there. Raises ValueError."""

    @property
    def key_text(self) -> Combinable:
        """The key in SQL, as text."""
        if isinstance(self.key_field, UUIDField):
            return UUIDText(F(self.key))
        if self.has_integer_keys:
            return NumberText(F(self.key))
        return F(self.key)

    @property
    def has_uuid_keys(self) -> bool:
        return isinstance(self.key_field, UUIDField)

    @property
    def has_integer_keys(self) -> bool:
        return self.key_field.get_internal_type() in INTEGERS

    @property
    def has_text_keys(self) -> bool:
        """Whether any text may be a key, an address too."""
        return not self.has_integer_keys and not isinstance(self.key_field, UUIDField)

    def rows(self, using: str | None = None) -> QuerySet[Any]:
        """All rows, by the model's default manager."""
        manager = self.model._default_manager
        return manager.all() if using is None else manager.using(using)

    def canonical(self, key: str) -> str:
        """A key as it is written everywhere: a UUID in lower case with dashes, a number in digits.

        What cannot be a key of a row stays as it is: nobody has it.
        """
        if isinstance(self.key_field, UUIDField):
            try:
                return str(uuid.UUID(key))
            except ValueError:
                return key
        return key

    def parse_key(self, key: object) -> Any:
        """The value of the key column for a key in its canonical form; None: no row can have it."""
        if not isinstance(key, str):
            return None
        try:
            value = self.key_field.to_python(key)
        except (ValidationError, TypeError, ValueError, OverflowError):
            return None
        if self.has_integer_keys:
            return value if str(value) == key and abs(value) <= LARGEST_INTEGER else None
        if isinstance(value, uuid.UUID):
            return value if str(value) == key else None
        return value if "\0" not in key else None

    def key_of(self, row: Any) -> str:
        """The key of a row as text."""
        return self.canonical(str(getattr(row, self.key_attribute)))

    def existing(self, keys: Iterable[str]) -> set[str]:
        """Those of these keys that rows have; one query."""
        return {str(key) for (key,) in self._of_keys(keys, self.key)}

    def _of_keys(self, keys: Iterable[str], *columns: str) -> list[tuple[Any, ...]]:
        values = [value for key in keys if (value := self.parse_key(key)) is not None]
        rows = self.rows().filter(**{f"{self.key}__in": values})
        return list(rows.values_list(*columns)) if values else []

    def _key_field(self) -> Field[Any, Any]:
        meta = self.model._meta
        if self.key == "pk" and len(getattr(meta, "pk_fields", ())) > 1:
            raise TypeError(
                f"{self.model.__name__} has a composite primary key: name another unique field as key."
            )
        field = field_of(self.model, self.key)
        if field.model._meta.concrete_model is not meta.concrete_model:
            raise TypeError(f"{self.model.__name__}.{self.key} lies in the table of another model.")
        alone = {each.fields for each in meta.total_unique_constraints}
        if not field.unique and (field.name,) not in alone:
            raise TypeError(f"{self.model.__name__}.{self.key} is not unique, and so no key.")
        if field.null:
            raise TypeError(
                f"{self.model.__name__}.{self.key} may be NULL, so it cannot be the key."
            )
        if (held := column_type(field)).get_internal_type() not in SUITABLE[Form.KEY]:
            why = "and a key is a whole number, a UUID or a text"
            raise TypeError(f"{self.model.__name__}.{self.key} is {named(held)}, {why}.")
        return field


def _refuse(declared: type[Kind]) -> None:
    """Raises TypeError for a name that LaunchDarkly does not take, and for what is not a model with a table."""
    name: object = declared.name
    model = getattr(declared, "model", None)
    if not isinstance(name, str) or not _NAME(name) or name in {"kind", "multi"}:
        raise TypeError(
            f"the name is {name!r}: use letters, digits, dots, dashes and underscores, and neither kind nor multi"
        )
    if not isinstance(model, type) or not issubclass(model, Model) or model._meta.abstract:
        raise TypeError(f"the model is {model!r}, and no class of a model with a table")
    if swapped := model._meta.swapped:
        raise TypeError(f"{model.__name__} is swapped for {swapped}, and has no table")
