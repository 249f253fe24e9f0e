"""SQL on JSON values, guarded by type: it keeps apart what Django's key lookups confuse.

A value is a pair of expressions: its JSON type and the value itself. On PostgreSQL the value is
a jsonb; on SQLite it is a text or number, and the JSON text of a list or an object. Keys are
parameters, so that `2024`, `a__b`, `a.b` and quotes are keys like any other.

Where Python reads an integer, PostgreSQL has a numeric without decimals and SQLite the type
`integer`; everything else is a double to Python, and so it is here.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from django.db.models import BooleanField, FloatField, TextField

from featureflags.audience.sql.expressions import Part, Sql, Template, Written

Kind = Literal["string", "number", "boolean", "object", "array", "null"]

_SQLITE_KINDS: Final[dict[Kind, tuple[str, ...]]] = {
    "string": ("text",),
    "number": ("integer", "real"),
    "boolean": ("true", "false"),
    "object": ("object",),
    "array": ("array",),
    "null": ("null",),
}

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9 _.:@$-]+")
"""Keys that a path of SQLite reaches, without those that JSON must write with escapes."""

_HUGE: Final = "17976931348623158" + "0" * 292
"""`float()` refuses integers from 2**1024 - 2**970 on; this is the first number of 17 digits there.
"""
_TINY: Final = "2.4703282292062328e-324"
"""Half of the smallest double: below it a number is zero, which PostgreSQL refuses to cast."""


class JSONAt(Written):
    """The value at a path of keys inside an object; NULL if there is none."""

    output_field = TextField()
    functions: Final = {"value": "JSON_EXTRACT", "type": "JSON_TYPE"}
    # Of a key that occurs twice Python reads the last value, and so does this.
    step: Final = (
        "(SELECT CASE type WHEN 'object' THEN value END FROM JSON_EACH({}) WHERE key = %s"
        " ORDER BY id DESC LIMIT 1)"
    )
    last: Final = "(SELECT {} FROM JSON_EACH({}) WHERE key = %s ORDER BY id DESC LIMIT 1)"
    no_escape: Final = "INSTR({text}, '\\') = 0"
    once: Final = "LENGTH({text}) - LENGTH(REPLACE({text}, %s, '')) <= %s"
    column: str = "value"

    def __init__(self, document: Any, path: tuple[str, ...]) -> None:
        super().__init__(document)
        self.path = path

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        return self._sqlite(sql, params) if sqlite else self._postgresql(sql, params)

    def _sqlite(self, sql: str, params: list[Any]) -> Sql:
        slow, slow_params = self._by_key(sql, params)
        if not all(_PLAIN_KEY.fullmatch(key) for key in self.path):
            return slow, slow_params
        # A path finds no key that is written with escapes, and the first of two: only a write past
        # the ORM stores such text. The tests cost less than to read the text by its keys.
        tests, test_params = [self.no_escape.format(text=sql)], [*params]
        for key in self.path:
            tests.append(self.once.format(text=sql))
            test_params += [*params, *params, f'"{key}"', len(key) + 2]
        path = "$" + "".join(f'."{key}"' for key in self.path)
        return (
            f"(CASE WHEN {' AND '.join(tests)} THEN {self.functions[self.column]}({sql}, %s)"
            f" ELSE {slow} END)",
            [*test_params, *params, path, *slow_params],
        )

    def _by_key(self, sql: str, params: list[Any]) -> Sql:
        for key in self.path[:-1]:
            sql, params = self.step.format(sql), [*params, key]
        return self.last.format(self.column, sql), [*params, self.path[-1]]

    def _postgresql(self, sql: str, params: list[Any]) -> Sql:
        return f"({sql}{' -> %s::text' * len(self.path)})", [*params, *self.path]


class JSONTypeAt(JSONAt):
    """The JSON type of that value, as the database names it."""

    column = "type"

    def _postgresql(self, sql: str, params: list[Any]) -> Sql:
        value, params = super()._postgresql(sql, params)
        return f"JSONB_TYPEOF({value})", params


class JSONTextAt(JSONAt):
    """The value at a path as PostgreSQL writes it: a text as it is, anything else as JSON."""

    def _postgresql(self, sql: str, params: list[Any]) -> Sql:
        return f"({sql}{' -> %s::text' * (len(self.path) - 1)} ->> %s::text)", [*params, *self.path]


_MAY_BE_JSON: Final = re.compile(r"true|false|[-0-9\[{].*", re.DOTALL)


def means_text(text: str) -> bool:
    """True if only this text is written in this way, and no number, boolean, list or object."""
    return _MAY_BE_JSON.fullmatch(text) is None


class TypeOf(Template):
    """The JSON type of a jsonb of PostgreSQL."""

    template = "JSONB_TYPEOF({})"
    output_field = TextField()


class KindIs(Written):
    """The type is one of these kinds."""

    output_field = BooleanField()

    def __init__(self, kind: Any, kinds: tuple[Kind, ...]) -> None:
        super().__init__(kind)
        self.kinds = kinds

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        names = [
            name for kind in self.kinds for name in (_SQLITE_KINDS[kind] if sqlite else (kind,))
        ]
        listed = ", ".join(f"'{name}'" for name in names)
        return f"({sql} IN ({listed}))", params


class NotNull(Template):
    """The value exists, and is not JSON's null."""

    template = "({} <> 'null')"
    output_field = BooleanField()


class OfPair(Written):
    """A condition on a type and a value."""

    sqlite: str
    postgresql: str

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        return self._fill(self.sqlite if sqlite else self.postgresql, part)

    @staticmethod
    def _fill(template: str, part: Part, **words: str) -> Sql:
        found = {"kind": part(0), "value": part(1)}
        if "{text}" in template:
            found["text"] = part(2)
        params: list[Any] = []
        # A template may contain its parts in any order, and more than once.
        for field in re.findall(r"\{(\w+)\}", template):
            params += found[field][1] if field in found else []
        return template.format(**{name: sql for name, (sql, _) in found.items()}, **words), params


class TextOf(OfPair):
    """The value as text; NULL for other types."""

    output_field = TextField()
    sqlite = "CASE WHEN {kind} = 'text' THEN {value} END"
    postgresql = "CASE WHEN {kind} = 'string' THEN {value} #>> '{{}}' END"


class ListOf(OfPair):
    """The value if it is a list, else NULL."""

    output_field = TextField()
    sqlite = "CASE WHEN {kind} = 'array' THEN {value} END"
    postgresql = sqlite


class DoubleOf(OfPair):
    """The value as a double; NULL for other types, and for integers beyond a double.

    A third source, on PostgreSQL: the value as text, if that is computed already.
    """

    output_field = FloatField()
    sqlite = (
        "CASE WHEN {kind} = 'real' THEN {value}"
        " WHEN {kind} = 'integer' AND {value} BETWEEN -1.7976931348623157e308"
        " AND 1.7976931348623157e308 THEN CAST({value} AS REAL) END"
    )
    written: Final = (
        "CASE WHEN {kind} = 'number' THEN CASE"
        # This covers most numbers; the rest is for those far from any double.
        " WHEN LENGTH({text}) < 16 THEN ({text})::float8"
        f" WHEN ABS({{value}}::numeric) <= {_TINY} THEN 0"
        f" WHEN ABS({{value}}::numeric) < {_HUGE} THEN {{value}}::float8"
        " WHEN SCALE({value}::numeric) > 0"
        " THEN SIGN({value}::numeric)::float8 * 'Infinity'::float8 END END"
    )
    postgresql = written.replace("{text}", "{value} #>> '{{}}'")

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        if sqlite or len(self.parts) < 3:
            return super().write(part, sqlite=sqlite)
        return self._fill(self.written, part)


class BeyondDouble(OfPair):
    """The value is an integer beyond a double: a comparison with it never matches."""

    output_field = BooleanField()
    sqlite = (
        "({kind} = 'integer' AND {value} NOT BETWEEN -1.7976931348623157e308"
        " AND 1.7976931348623157e308)"
    )
    postgresql = (
        "CASE WHEN {kind} = 'number' THEN"
        f" ABS({{value}}::numeric) >= {_HUGE} AND SCALE({{value}}::numeric) = 0"
        " ELSE FALSE END"
    )


class IsConstant(OfPair):
    """The value is JSON's true or false."""

    output_field = BooleanField()
    sqlite = "({kind} = '{word}')"
    postgresql = "({value} = '{word}'::jsonb)"

    def __init__(self, kind: Any, value: Any, constant: bool) -> None:
        super().__init__(kind, value)
        self.word = "true" if constant else "false"

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        return self._fill(self.sqlite if sqlite else self.postgresql, part, word=self.word)


class NumberIn(OfPair):
    """The value is one of these numbers; integers within 64 bits, and finite doubles."""

    output_field = BooleanField()
    sqlite = (
        "CASE {kind} WHEN 'integer' THEN {value} IN ({integers})"
        " WHEN 'real' THEN {value} IN ({doubles}) END"
    )
    postgresql = (
        "CASE WHEN {kind} = 'number' THEN CASE WHEN SCALE({value}::numeric) = 0"
        " THEN {value}::numeric IN ({integers})"
        f" ELSE ({DoubleOf.postgresql}) IN ({{doubles}}) END END"
    )

    def __init__(
        self,
        kind: Any,
        value: Any,
        integers: tuple[int, ...],
        doubles: tuple[float, ...],
    ) -> None:
        super().__init__(kind, value)
        self.integers = integers
        self.doubles = doubles

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        # Python writes these literals itself: digits, a point, an exponent, nothing else.
        integers = ", ".join(map(str, self.integers)) or "NULL"
        doubles = ", ".join(f"CAST('{one!r}' AS DOUBLE PRECISION)" for one in self.doubles)
        template = self.sqlite if sqlite else self.postgresql
        return self._fill(template, part, integers=integers, doubles=doubles or "NULL")
