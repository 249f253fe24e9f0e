"""The operand of a clause in SQL: from an attribute of the catalogue to a kind of operand.

A `Source` provides the expressions: inline for a filter, or computed once in a subquery for a count
of many segments.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol, TypeAlias

from django.db.models import (
    BooleanField,
    DateTimeField,
    Expression,
    F,
    Field,
    FloatField,
    OuterRef,
    QuerySet,
    Subquery,
    TextField,
)

from featureflags.audience.sql.expressions import Name, Text
from featureflags.audience.sql.json_values import (
    DoubleOf,
    JSONAt,
    JSONTypeAt,
    ListOf,
    TextOf,
    means_text,
)
from featureflags.contexts.attributes import CUSTOM_PREFIX, Attribute, catalogue
from featureflags.core.types import JSONValue
from featureflags.kinds.attribute import RelatedColumn
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.functions import Exact, Midnight
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.matching import BUILT_IN


class Source(Protocol):
    """Provides the expressions of a condition."""

    def take(self, expression: Any, output_field: Field[Any, Any]) -> Any:
        """An expression on users, or its replacement."""
        ...

    def take_rows(self, some: Expression) -> Expression:
        """The same for a condition on related rows."""
        ...

    def take_json(self, document: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
        """The type and the value at a path of a JSON column."""
        ...

    def derive(self, expression: Any, output_field: Field[Any, Any]) -> Any:
        """An expression on what was taken before, or its replacement."""
        ...

    def take_written(self, document: Any, path: tuple[str, ...]) -> Any:
        """The value of any type as text; None if that saves nothing."""
        ...

    def may_be_list(self, operand: JSONColumn) -> bool:
        """True if conditions must look into lists; if not, the caller ensures that there are none."""
        ...


class Inline:
    """Each expression in its place, for a filter of a queryset."""

    @staticmethod
    def take(expression: Any, output_field: Field[Any, Any]) -> Any:
        del output_field
        return expression

    @staticmethod
    def take_rows(some: Expression) -> Expression:
        return some

    @staticmethod
    def take_json(document: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
        return JSONTypeAt(document, path), JSONAt(document, path)

    derive = take

    @staticmethod
    def take_written(document: Any, path: tuple[str, ...]) -> Any:
        del document, path

    @staticmethod
    def may_be_list(operand: JSONColumn) -> bool:
        del operand
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The same value for every user; None: no value."""

    value: JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumn:
    """A text, or NULL."""

    text: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumn:
    """The key: as the column holds it, and its canonical text to rules."""

    pk: Any
    text: Any
    kind: CompiledKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanColumn:
    boolean: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumn:
    number: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantColumn:
    """A date and time; with `plain_dates` the midnight in UTC of a date without a time."""

    instant: Any
    plain_dates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysColumn:
    """The number of whole days since a date and time."""

    since: Any


@dataclass(frozen=True, kw_only=True)
class JSONColumn:
    """A JSON value of any type. `document` and `path`: for an index, if inline."""

    type_sql: Any
    value: Any
    source: Source = field(default_factory=Inline)
    document: Any = None
    path: tuple[str, ...] = ()
    written: Any = None
    """The value of any type as text, if that costs less than to convert `value`."""

    @cached_property
    def kind(self) -> Any:
        """Its JSON type; NULL without a value."""
        return self.source.derive(self.type_sql, TextField())

    @cached_property
    def text(self) -> Any:
        """The value if it is a text, else NULL."""
        return self.source.derive(TextOf(self.type_sql, self.value), TextField())

    def text_among(self, texts: Collection[str]) -> Any:
        """As `text`, or an expression that equals one of these texts exactly if `text` does."""
        if self.written is not None and all(means_text(text) for text in texts):
            return self.written
        return self.text

    @cached_property
    def double(self) -> Any:
        """The value if it is a number that a double holds, else NULL."""
        written = [] if self.written is None else [self.written]
        return self.source.derive(DoubleOf(self.type_sql, self.value, *written), FloatField())

    @cached_property
    def list(self) -> Any:
        """The value if it is a list, else NULL."""
        return self.source.derive(ListOf(self.type_sql, self.value), TextField())


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedTexts:
    rows: Subquery  # A list of texts in separate rows: those of one user, as the column of RELATED.


RELATED: Final = Name("related.related_text", TextField())
"""One of the texts, inside `expressions.AnyRow`."""


def _related(place: RelatedColumn) -> RelatedTexts:
    rows: QuerySet[Any] = QuerySet(place.model).filter(**{place.back: OuterRef("pk")}).order_by()
    text: Any = F(place.column)
    if getattr(place.model._meta.get_field(place.column), "db_collation", None):
        text = Exact(text)
    return RelatedTexts(rows=Subquery(rows.annotate(related_text=text).values("related_text")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    why: str  # SQL cannot express it.


Operand: TypeAlias = (
    Constant
    | TextColumn
    | KeyColumn
    | BooleanColumn
    | NumberColumn
    | InstantColumn
    | DaysColumn
    | JSONColumn
    | RelatedTexts
    | Unknown
)

_JSON: Final = frozenset({AttributeType.OBJECT, AttributeType.LIST, AttributeType.ANY})

NOBODY_HAS_IT: Final = Constant(value=None)


def operand_at(path: tuple[str, ...], source: Source, kind: CompiledKind) -> Operand:
    """The operand for the path of an attribute of a kind; see `segments.references.attribute_path`."""
    name, inside = path[0], path[1:]
    attribute = catalogue(kind.name).get(name)
    if name in BUILT_IN and attribute is None:
        # LaunchDarkly answers these itself; see `segments.matching.BUILT_IN`.
        known: dict[str, JSONValue] = {"kind": kind.name, "anonymous": False}
        return NOBODY_HAS_IT if inside else Constant(value=known.get(name))
    if name in BUILT_IN:
        return Unknown(why=f"the attribute {name!r} is LaunchDarkly's own")
    if attribute is not None:
        return _of_catalogue(attribute, inside, source, kind)
    if name.startswith(CUSTOM_PREFIX) and kind.metadata is not None:
        path = (name.removeprefix(CUSTOM_PREFIX), *inside)
        return json_operand(kind.metadata.source, path, source)
    return NOBODY_HAS_IT


def json_operand(document: Any, path: tuple[str, ...], source: Source) -> JSONColumn:
    """The value at a path of a JSON column; without a path, the column's own."""
    type_sql, value = source.take_json(document, path)
    if path and isinstance(source, Inline):
        return JSONColumn(type_sql=type_sql, value=value, document=document, path=path)
    written = source.take_written(document, path) if path else None
    return JSONColumn(type_sql=type_sql, value=value, source=source, written=written)


ELEMENT: Final = JSONColumn(
    type_sql=Name("element.type", TextField()), value=Name("element.value", TextField())
)
"""An element of a list, inside `lists.AnyElement`."""

EARLIER: Final = JSONColumn(
    type_sql=Name("earlier.type", TextField()), value=Name("earlier.value", TextField())
)
"""An element before it."""


def _of_catalogue(
    attribute: Attribute, inside: tuple[str, ...], source: Source, kind: CompiledKind
) -> Operand:
    if attribute.sql is not None and attribute.type in _JSON:
        return json_operand(attribute.sql, inside, source)
    if inside:
        # Texts, numbers and lists have no parts.
        in_sql = attribute.sql or attribute.sql_related or attribute.elapsed_days_since
        return NOBODY_HAS_IT if in_sql else _unknown(attribute)
    if attribute.sql_related is not None:
        return _related(attribute.sql_related)
    if (found := attribute.elapsed_days_since) is not None:
        since = source.take(F(found) if isinstance(found, str) else found, DateTimeField())
        return DaysColumn(since=since)
    return _unknown(attribute) if attribute.sql is None else _column(attribute, source, kind)


def _unknown(attribute: Attribute) -> Unknown:
    return Unknown(why=f"the attribute {attribute.name!r} has no SQL")


def _column(attribute: Attribute, source: Source, kind: CompiledKind) -> Operand:
    sql = attribute.sql
    if attribute.name == "key":
        pk = source.take(F(kind.key), TextField())
        return KeyColumn(pk=pk, text=source.take(sql, TextField()), kind=kind)
    if attribute.type is AttributeType.BOOLEAN:
        return BooleanColumn(boolean=source.take(sql, BooleanField()))
    if attribute.type is AttributeType.NUMBER:
        return NumberColumn(number=source.take(sql, TextField()))
    if attribute.type is AttributeType.DATETIME:
        at, is_date = source.take(sql, DateTimeField()), isinstance(sql, Midnight)
        return InstantColumn(instant=at, plain_dates=is_date)
    return TextColumn(text=source.take(Text(sql), TextField()))
