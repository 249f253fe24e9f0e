"""The percentage of a rule in SQL, exactly where the database has SHA-1.

SQLite has it through Django. PostgreSQL has it with the extension `pgcrypto`; without it the rows whose
value has a hash are left to Python. Hidden SQL: `hashes_of` asks PostgreSQL once for each compiler.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from django.db import connections
from django.db.models import BooleanField, TextField

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    any_of,
    exactly,
    negation,
    unknown,
)
from featureflags.audience.sql.expressions import Part, Present, Sql, Written
from featureflags.audience.sql.json_values import OfPair
from featureflags.audience.sql.operands import (
    BooleanColumn,
    Constant,
    JSONColumn,
    KeyColumn,
    Operand,
    RelatedTexts,
    TextColumn,
)
from featureflags.segments.percentages import (
    WHOLE,
    CompiledPercentage,
    first_hash_beyond,
)

NO_HASH: Final = "PostgreSQL has no SHA-1 without the extension pgcrypto (percentage)"
NO_TEXT: Final = "SQL does not write this attribute as LaunchDarkly does (percentage)"
NO_INTEGER: Final = "SQLite reads integers beyond 64 bits as fractions (percentage)"


class Hashes(StrEnum):
    """Who computes SHA-1."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    NONE = "none"


class HashBelow(Written):
    """The hash of a seed and a text is below a limit: hexadecimal digits. NULL for no text."""

    output_field = BooleanField()
    sqlite: Final = "(SHA1(%s || {text}) < %s)"
    # Of two byte strings the one that is the beginning of the other is less, as of two texts.
    postgresql: Final = (
        "(DIGEST(CONVERT_TO(%s::text || {text}, 'UTF8'), 'sha1') < DECODE(%s, 'hex'))"
    )

    def __init__(self, text: Any, seed: str, end: str) -> None:
        super().__init__(text)
        self.seed = seed
        self.end = end

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        template = self.sqlite if sqlite else self.postgresql
        end = self.end if sqlite else f"{self.end}0"
        return template.format(text=sql), [self.seed, *params, end]


class IntegerText(OfPair):
    """The digits of the value where Python has an integer; NULL for other values, and on SQLite for
    those of `BeyondInteger`.

    A fraction from 2**53 on, all of them whole, is an integer to Python: see `core.json_numbers`.
    SQLite may ask for the size of any value, and fails on that of the least integer: so `* 1.0`.
    """

    output_field = TextField()
    sqlite = (
        "CASE WHEN {kind} = 'integer' AND TYPEOF({value}) = 'integer' OR {kind} = 'real'"
        " AND ABS({value} * 1.0) >= 9007199254740992.0 AND ABS({value} * 1.0) < 1e16"
        " THEN CAST(CAST({value} AS INTEGER) AS TEXT) END"
    )
    postgresql = (
        "CASE WHEN {kind} = 'number' THEN CASE WHEN SCALE({value}::numeric) = 0"
        " THEN {value} #>> '{{}}'"
        # From here on the nearest double is 2**53 or more.
        " WHEN ABS({value}::numeric) >= 9007199254740991.5 AND ABS({value}::numeric) < 1e308"
        " THEN TRUNC(({value}::float8)::text::numeric)::text END END"
    )


class BeyondInteger(OfPair):
    """The value is an integer that SQLite reads as a fraction, or a fraction of whole digits that it
    writes as others."""

    output_field = BooleanField()
    sqlite = (
        "({kind} = 'integer' AND TYPEOF({value}) = 'real'"
        " OR {kind} = 'real' AND ABS({value} * 1.0) >= 1e16)"
    )
    postgresql = "({kind} IS NULL AND {value} IS NOT NULL)"


def hashes_of(alias: str) -> Hashes:
    """What computes SHA-1 in this database."""
    connection = connections[alias]
    if connection.vendor == "sqlite":
        return Hashes.SQLITE
    with connection.cursor() as cursor:
        cursor.execute("SELECT TO_REGPROCEDURE('digest(bytea, text)') IS NOT NULL")
        [has_digest] = cursor.fetchone()
    return Hashes.POSTGRESQL if has_digest else Hashes.NONE


def percentage_bounds(percentage: CompiledPercentage, operand: Operand, hashes: Hashes) -> Bounds:
    """The condition under which a rule takes a row with this value."""
    if isinstance(operand, Constant):
        return exactly(percentage.takes(operand.value))
    if not 0 < percentage.weight <= WHOLE:
        return exactly(False) if percentage.weight <= 0 else unknown(NO_TEXT)
    if isinstance(operand, BooleanColumn | RelatedTexts):
        # LaunchDarkly has no bucket for them but the first.
        return exactly(True)
    if isinstance(operand, KeyColumn | TextColumn):
        return _of_text(percentage, operand, hashes)
    if isinstance(operand, JSONColumn):
        return _of_json(percentage, operand, hashes)
    return unknown(NO_TEXT)


def _of_text(
    percentage: CompiledPercentage, operand: KeyColumn | TextColumn, hashes: Hashes
) -> Bounds:
    missing = False if isinstance(operand, KeyColumn) else negation(Present(operand.text))
    if hashes is Hashes.NONE:
        return Bounds(lower=missing, upper=True, reasons=(NO_HASH,))
    return exactly(any_of([_taken(percentage, operand.text), missing]))


def _of_json(percentage: CompiledPercentage, operand: JSONColumn, hashes: Hashes) -> Bounds:
    text, type_sql, value = operand.text, operand.type_sql, operand.value
    integer = operand.source.derive(IntegerText(type_sql, value), TextField())
    huge = operand.source.derive(BeyondInteger(type_sql, value), BooleanField())
    hashed = any_of([Present(text), Present(integer), huge])
    if hashes is Hashes.NONE:
        return Bounds(lower=negation(hashed), upper=True, reasons=(NO_HASH,))
    taken = any_of([_taken(percentage, text), _taken(percentage, integer), negation(hashed)])
    if hashes is Hashes.POSTGRESQL:
        return exactly(taken)
    return Bounds(lower=taken, upper=any_of([taken, huge]), reasons=(NO_INTEGER,))


def _taken(percentage: CompiledPercentage, text: Any) -> Condition:
    return HashBelow(text, percentage.seed, first_hash_beyond(percentage.weight))
