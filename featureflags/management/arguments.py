"""What the commands share: finding the user of an argument, and printing JSON or columns."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named, kinds, user_kind
from featureflags.kinds.snapshot import address

USER_HELP = "e-mail address (in any case) or key of the user"
ROW_HELP = f"{USER_HELP}; of another kind as organization:KEY"


def subject(text: str) -> Any:
    """The row of an argument, or only its address while the database is down: the cache may still have it.

    Raises CommandError if the row does not exist.
    """
    kind, rest = kind_and_text(text)
    try:
        row = kind.find(rest)
    except DatabaseError as error:
        key = kind.canonical(rest)
        if kind.parse_key(key) is None:
            raise CommandError(
                f"The database does not answer. Name the {kind.name} by key, and the cache may know it."
            ) from error
        return address(kind.name, key)
    if row is None:
        raise CommandError(no_such_row(kind, rest))
    return row


def no_such_row(kind: CompiledKind, text: str) -> str:
    """That there is no such row, and which kinds there are if there are several."""
    names = [each.name for each in kinds()]
    hint = f" The kinds are: {', '.join(names)}." if len(names) > 1 else ""
    return f"There is no {kind.name} {text!r}.{hint}"


def kind_and_text(text: str) -> tuple[CompiledKind, str]:
    """The kind that an argument names, as `organization:acme` does, and the rest; else `user` and the text."""
    name, colon, rest = text.partition(":")
    kind = kind_named(name) if colon else None
    return (user_kind(), text) if kind is None else (kind, rest)


def row_named(text: str) -> tuple[CompiledKind, Any]:
    """The row of an argument, as `kind_and_text` reads it, and its kind.

    All that a snapshot needs comes with the row. Raises CommandError if there is none.
    """
    kind, rest = kind_and_text(text)
    try:
        row = kind.find(rest)
    except DatabaseError as error:
        raise CommandError("The database does not answer.") from error
    if row is None:
        raise CommandError(no_such_row(kind, rest))
    return kind, row


def as_json(value: object) -> str:
    """JSON for people and programs: indented, keys in their order."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def on_one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def in_columns(rows: list[tuple[str, str]]) -> list[str]:
    """Two columns, the second aligned."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in rows]
