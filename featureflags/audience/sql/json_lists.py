"""SQL on JSON lists: a condition on any element, and containment that an index serves."""

from __future__ import annotations

import json
from typing import Any, Final

from django.db.models import BooleanField, IntegerField

from featureflags.audience.sql.expressions import Part, Sql, Written


class AnyElement(Written):
    """A list has an element for which a condition on the columns of `element` holds.

    With a second condition, on the columns of `earlier`: no element before that one fulfils it.
    """

    output_field = BooleanField()
    sqlite_items: Final = "JSON_EACH({listed})"
    postgresql_items: Final = (
        "(SELECT item.value, item.key, JSONB_TYPEOF(item.value) AS type FROM"
        " JSONB_ARRAY_ELEMENTS({listed}) WITH ORDINALITY AS item(value, key))"
    )
    # Most values are not lists, and the subquery costs far more than this test.
    some: Final = (
        "({listed} IS NOT NULL AND EXISTS(SELECT 1 FROM {items} AS element WHERE {holds}{unless}))"
    )
    unless: Final = (
        " AND NOT EXISTS(SELECT 1 FROM {items} AS earlier"
        " WHERE earlier.key < element.key AND {stops})"
    )

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        (listed, list_params), (holds, hold_params) = part(0), part(1)
        items = (self.sqlite_items if sqlite else self.postgresql_items).format(listed=listed)
        unless, params = "", [*list_params, *list_params, *hold_params]
        if len(self.parts) > 2:
            stops, stop_params = part(2)
            unless = self.unless.format(items=items, stops=stops)
            params += [*list_params, *stop_params]
        sql = self.some.format(listed=listed, items=items, holds=holds, unless=unless)
        return sql, params


class ListLength(Written):
    """How many elements a list has; NULL for NULL."""

    output_field = IntegerField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        return f"{'JSON' if sqlite else 'JSONB'}_ARRAY_LENGTH({sql})", params


class DistinctTexts(Written):
    """How many different texts are in related rows."""

    output_field = IntegerField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        sql, params = part(0)
        counted = f"(SELECT COUNT(DISTINCT related.related_text) FROM {sql} AS related)"  # noqa: S608 - no value is in the text
        return counted, params


class Holds(Written):
    """A value, or a list of values, holds one of these: on PostgreSQL by containment.

    Sources: the document that the path starts at; and the same condition for SQLite. A GIN index
    serves it. Containment is exact: at the end of a path a scalar is
    contained in itself and in a list that has it as an element, of its own type alone.
    """

    output_field = BooleanField()

    def __init__(
        self,
        document: Any,
        otherwise: Any,
        path: tuple[str, ...],
        values: tuple[str | bool, ...],
    ) -> None:
        super().__init__(document, otherwise)
        self.path = path
        self.values = values

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        if sqlite:
            return part(1)
        sql, params = part(0)
        sought = [form for value in self.values for form in self._forms(value)]
        parts = " OR ".join([f"{sql} @> %s::jsonb"] * len(sought))
        return f"({parts})", [one for form in sought for one in (*params, form)]

    def _forms(self, value: str | bool) -> list[str]:
        return [json.dumps(_nested(self.path, form)) for form in (value, [value])]


def _nested(path: tuple[str, ...], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value
