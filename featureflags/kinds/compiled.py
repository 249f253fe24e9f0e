"""A declared kind, read once at start: how its rows become snapshots, and its attributes.

kind = user_kind()
kind.snapshots(User.objects.filter(role="admin"))     # one query
kind.snapshot_of(user)                                # of a loaded row, as it is
kind.canonical(" 6D0C…")                              # a key as it is written everywhere
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.models import F, Field, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Combinable

from featureflags.kinds.attribute import Attribute
from featureflags.kinds.attributes_of_fields import attribute_of, key_attribute, sample_of
from featureflags.kinds.declaration import Declared, Kind, Many, Metadata, Related, WatchRows
from featureflags.kinds.functions import ManyTexts
from featureflags.kinds.loaded_rows import LoadedRows
from featureflags.kinds.names import Names
from featureflags.kinds.paths import Step, field_of, split_path, steps_to_parent
from featureflags.kinds.reads import columns_of, path_of_key, paths_of, read_of, refuse_expression
from featureflags.kinds.slots import (
    LOADED,
    TYPES,
    Form,
    Slot,
    refuse_path,
    refuse_type,
    source_of,
)
from featureflags.kinds.snapshot import fingerprint_of, snapshot_type
from featureflags.kinds.watches import (
    Owner,
    Watch,
    filtered_by,
    merged,
    watch_of_own,
    watches_of_path,
    watches_of_rows,
)

KEY_FIELD: Final = "key_value"
"""The slot of a field that is called `key`, as the key of the snapshot is."""
_FORMS: Final = {
    "Text": Form.TEXT,
    "Domain": Form.TEXT,
    "Boolean": Form.BOOLEAN,
    "Number": Form.NUMBER,
    "Instant": Form.INSTANT,
    "DaysSince": Form.INSTANT,
    "Many": Form.TEXTS,
    "Metadata": Form.OBJECT,
    "Related": Form.KEY,
}


WRONG: Final = (AttributeError, FieldDoesNotExist, FieldError, TypeError, ValueError)
"""What a wrong declaration raises, of ours or of Django's."""
NO_OTHERS: Final[Mapping[str, type[Kind]]] = MappingProxyType({})


class CompiledKind(Names):
    """One kind. `problems` says what of its declaration cannot be used, and was left out."""

    def __init__(self, declared: type[Kind], others: Mapping[str, type[Kind]] = NO_OTHERS) -> None:
        """`others`: all declared kinds by name, for the rows that belong to this kind's."""
        super().__init__(declared)
        self._others = others
        self.related: dict[str, str] = {}
        """By the name of another kind: the field of the snapshot with the key of its row."""
        self.problems: list[tuple[str, str]] = []
        """Name of the attribute (empty: the kind) and what is wrong."""
        self.active = declared.active
        self.last_seen = declared.last_seen
        self.created = declared.created
        self.slots: list[Slot] = []
        self.metadata: Slot | None = None
        """The slot whose keys are attributes of their own."""
        self.attributes: tuple[Attribute, ...] = tuple(self._attributes())
        fields = [(slot.name, TYPES[slot.form]) for slot in self.slots]
        self.fingerprint = fingerprint_of([("key", self.key), *fields])
        self.snapshot_type: type[Any] = snapshot_type(self.name, fields)
        self.sql_columns = [self.key_text, *(slot.column(self.model) for slot in self.slots)]
        self._decoders = [
            (place, slot.decode) for place, slot in enumerate(self.slots, 1) if slot.decode
        ]
        self.watches = self._watches()
        """The tables and columns whose change makes a snapshot of this kind old."""
        self.snapshot_of: Callable[[Any], Any] = LoadedRows(
            self.key_attribute,
            field_of(self.model, self.key),
            self.slots,
            self.snapshot_type,
        ).snapshot
        """The snapshot of a loaded row, as it is: unsaved changes included.

        Values are converted as a save would convert them. Raises UnreadableRow for an expression and
        for a value that a save would refuse, NotLoaded where a related row is not loaded.
        """

    def loaded(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows with all that `snapshot_of` needs, in the same query."""
        related = {
            LOOKUP_SEP.join(step.name for step in slot.steps if not step.is_parent)
            for slot in self.slots
            if slot.steps and not slot.is_own and not slot.is_of_rows
        }
        extra: dict[str, Any] = {}
        for slot in self.slots:
            if slot.loaded_as is not None:
                extra[slot.loaded_as] = ManyTexts(self.model, str(slot.path))
            elif slot.path is None or slot.is_of_rows:
                extra[LOADED + slot.name] = slot.column(self.model)
        rows = rows.select_related(*sorted(related)) if related else rows
        return rows.annotate(**extra) if extra else rows

    def snapshots(self, rows: QuerySet[Any]) -> list[Any]:
        """Snapshots of all rows of a queryset, in its order; one query."""
        make = self.snapshot_type
        return [make(*values) for values in self.values(rows)]

    def values(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """What `snapshots` gives, as lists, for those who only pass them on; one query."""
        return map(self._decoded, rows.values_list(*self.sql_columns))

    def snapshots_and(
        self, keys: Iterable[str], condition: Combinable, *, using: str
    ) -> tuple[dict[str, Any], bool]:
        """The rows that exist, by key, and whether a condition held for the query; one query.

        A key that no row can have is skipped. The condition holds if nobody was found.
        """
        values = [value for key in keys if (value := self.parse_key(key)) is not None]
        found: dict[str, Any] = {}
        held = True
        if values:
            rows = self.rows(using).filter(**{f"{self.key}__in": values})
            for *row, held_now in rows.values_list(*self.sql_columns, condition):
                snapshot = self.snapshot_type(*self._decoded(row))
                found[snapshot.key] = snapshot
                held = held and bool(held_now)
        return found, held

    def snapshots_by_key(self, keys: Iterable[str]) -> dict[str, Any]:
        """Snapshots of the rows that exist, by key; one query."""
        values = [value for key in keys if (value := self.parse_key(key)) is not None]
        if not values:
            return {}
        rows = self.rows().filter(**{f"{self.key}__in": values})
        return {found.key: found for found in self.snapshots(rows)}

    def keys(self, rows: QuerySet[Any]) -> list[str]:
        """The keys of all rows of a queryset, in the order of the key column; one query."""
        return list(rows.order_by(self.key).values_list(self.key_text, flat=True))

    def iterated(self, rows: QuerySet[Any], size: int) -> Iterator[Any]:
        """Snapshots of all rows of a queryset, read in chunks of this size."""
        for values in rows.values_list(*self.sql_columns).iterator(chunk_size=size):
            yield self.snapshot_type(*self._decoded(values))

    def samples(self, now: int) -> tuple[Any, Any]:
        """A snapshot with everything, and one with as little as there may be; for checks of attributes."""
        full = [sample_of(slot, now) for slot in self.slots]
        least = [
            value if slot.is_own and not slot.field.null else slot.empty
            for slot, value in zip(self.slots, full, strict=True)
        ]
        return self.snapshot_type("1", *full), self.snapshot_type("2", *least)

    @property
    def shows_metadata_to_self(self) -> bool:
        """True if users see their own metadata."""
        return any(
            isinstance(declared, Metadata) and declared.shown_to_self is True
            for declared in self.declared.declared.values()
        )

    def _watches(self) -> tuple[Watch, ...]:
        owner = Owner(kind=self.name, model=self.model, key=self.key)
        own: list[str] = []
        found: list[Watch] = []
        for model, shown_by in filtered_by(self.model):
            # Whether the row is there depends on it.
            to_parent = steps_to_parent(self.model, model)
            found += watches_of_path(owner, to_parent, shown_by)
            own += [] if to_parent else [shown_by]
        for steps, field in self._read():
            columns = [] if field is None else list(columns_of(field))
            if steps:
                own += [here] if (here := steps[0].own_column) is not None else []
                for column in columns or [steps[-1].there]:
                    found += watches_of_path(owner, steps, column)
            else:
                own += columns
        for name, declared in self.declared.declared.items():
            watched = declared.watch
            for rows in (watched,) if isinstance(watched, WatchRows | str) else watched:
                try:
                    if not isinstance(rows, WatchRows):
                        raise TypeError(f"{rows!r} is not a WatchRows.")
                    found += watches_of_rows(owner, rows.model, rows.via, rows.fields)
                except WRONG as error:
                    self.problems.append((name, f"its watch: {error}"))
        return merged([watch_of_own(owner, dict.fromkeys(map(str, own))), *found])

    def _read(self) -> Iterator[tuple[Sequence[Step], Field[Any, Any] | None]]:
        """The steps to each field that the slots read, also by expressions."""
        for slot in self.slots:
            if slot.path is not None:
                yield slot.steps, slot.field
            else:
                yield from (read_of(self.model, path) for path in paths_of(slot.source))

    def _decoded(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for place, decode in self._decoders:
            values[place] = decode(values[place])
        return values

    def _attributes(self) -> Iterator[Attribute]:
        yield key_attribute(self.key_text, kind=self.name, lower_case=not self.has_text_keys)
        for name, declared in self.declared.declared.items():
            try:
                slot = self._slot(name, declared)
                if isinstance(declared, Metadata):
                    if self.metadata not in {None, slot}:
                        raise TypeError("There is another Metadata already.")
                    self.metadata = slot
                elif isinstance(declared, Related):
                    self.related[declared.kind] = slot.name
                else:
                    yield attribute_of(name, declared, slot)
            except WRONG as error:
                self.problems.append((name, str(error)))

    def _slot(self, name: str, declared: Declared) -> Slot:
        """The slot of an attribute; one for all that read the same. Raises TypeError."""
        made = self._made(name, declared)
        for slot in self.slots:
            if slot.path is not None and (slot.path, slot.form) == (made.path, made.form):
                return slot
        if made.name in {slot.name for slot in self.slots} or made.name == "key":
            raise TypeError(f"The name {made.name!r} is taken.")
        self.slots.append(made)
        return made

    def _made(self, name: str, declared: Declared) -> Slot:
        form = _FORMS[type(declared).__name__]
        if not isinstance(declared.source, str):
            return self._of_expression(name, declared.source, form)
        source = declared.source
        if isinstance(declared, Related):
            source = self._path_of_key(declared, source)
        steps, field = split_path(self.model, source)
        refuse_path(steps, field, form, f"{self.model.__name__}.{source}")
        return Slot(
            name=self._name(name, field if all(step.is_parent for step in steps) else None),
            form=form,
            field=field,
            source=source_of(field, F(source), form),
            path=source,
            steps=tuple(steps),
            loaded_as=declared.loaded_as if isinstance(declared, Many) else None,
            lower_case=bool(getattr(declared, "lower_case", False)),
        )

    def _path_of_key(self, declared: Related, path: str) -> str:
        """The path to the key of the other kind's row: the foreign key itself, where it holds it."""
        other = self._others.get(declared.kind)
        if other is None or declared.kind in {self.name, *self.related}:
            why = "is declared twice" if declared.kind in self.related else "names no other kind"
            raise TypeError(f"{declared.kind!r} {why}.")
        return path_of_key(self.model, path, other)

    def _of_expression(self, name: str, source: Any, form: Form) -> Slot:
        if not isinstance(source, Combinable):
            raise TypeError(f"The source is {source!r}: write a field, a path or an expression.")
        field = getattr(source, "_output_field_or_none", None)
        if field is None:
            raise TypeError("The expression needs an output_field.")
        if form is Form.TEXTS:
            raise TypeError("Many takes a path, not an expression.")
        refuse_type(field, form, name)
        refuse_expression(self.model, source)
        source = source_of(field, source, form)
        return Slot(name=self._name(name), form=form, field=field, source=source)

    def _name(self, name: str, own: Field[Any, Any] | None = None) -> str:
        """Of a slot: that of the row's own field, else the attribute's where no own field has it."""
        if own is not None:
            return own.name if own.name != "key" else KEY_FIELD
        taken = {field.name for field in self.model._meta.concrete_fields}
        return f"{name}_value" if name in taken else name
