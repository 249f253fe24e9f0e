"""What the commands share: finding the user of an argument, and printing JSON or columns."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from featureflags.core.types import Account
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named, kinds, user_kind

USER_HELP = "e-mail address (in any case) or key of the user"
ROW_HELP = f"{USER_HELP}; of another kind as organization:KEY"


def subject(email_or_id: str) -> Account | str:
    """The user, or only the key while the database is down: the cache may still have it.

    Raises CommandError if the user does not exist.
    """
    try:
        user = user_kind().find(email_or_id)
    except DatabaseError as error:
        key = as_key(email_or_id)
        if key is None:
            raise CommandError(
                "The database does not answer. Name the user by key, and the cache may know them."
            ) from error
        return key
    if user is None:
        raise CommandError(f"There is no user {email_or_id!r}.")
    return user


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
        names = [each.name for each in kinds()]
        hint = f" The kinds are: {', '.join(names)}." if len(names) > 1 else ""
        raise CommandError(f"There is no {kind.name} {rest!r}.{hint}")
    return kind, row


def as_key(text: str) -> str | None:
    """The text as a user's key; None if it cannot be one."""
    key = user_kind().canonical(text)
    return None if user_kind().parse_key(key) is None else key


def as_json(value: object) -> str:
    """JSON for people and programs: indented, keys in their order."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def on_one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def in_columns(rows: list[tuple[str, str]]) -> list[str]:
    """Two columns, the second aligned."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in rows]
