"""What the commands share: what an argument names, LaunchDarkly's data, and printing JSON or columns."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from featureflags.audience.sql.compiler import kind_of_segment
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.evaluation import looking
from featureflags.inspection.flag_parsing import RawData
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_and_text, kind_named, kinds
from featureflags.kinds.snapshot import address
from featureflags.launchdarkly.client import feature_store, has_flags
from featureflags.segments.ruleset import Ruleset

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
    """That the row is missing, or that several have this name; and the kinds, where there are several."""
    same = len(kind.keys_by_title([text]).get(text, [])) if "\0" not in text else 0
    if same > 1:
        return f"{same} rows of the kind {kind.name!r} are called {text!r}: write the key of one."
    names = [each.name for each in kinds()]
    hint = f" The kinds are: {', '.join(names)}." if len(names) > 1 else ""
    return f"There is no {kind.name} {text!r}.{hint}"


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


def add_kind(parser: CommandParser) -> None:
    """The option `--kind`, which `kind_wanted` reads."""
    parser.add_argument("--kind", default="", metavar="KIND", help="one kind; otherwise all")


def kind_wanted(name: str) -> CompiledKind | None:
    """The kind of this name; None for the empty text. Raises CommandError for any other name."""
    kind = kind_named(name)
    if name and kind is None:
        known = ", ".join(each.name for each in kinds())
        raise CommandError(f"There is no kind {name!r}. The kinds are: {known}.")
    return kind


def segments_of_kind(ruleset: Ruleset, name: str) -> list[str] | None:
    """The keys of the segments of the kind; None: no kind is named. Raises CommandError."""
    kind = kind_wanted(name)
    if kind is None:
        return None
    return [key for key in ruleset.definitions if kind_of_segment(ruleset, key) is kind]


def as_json(value: object) -> str:
    """JSON for people and programs: indented, keys in their order."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def on_one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def in_columns(rows: list[tuple[str, str]]) -> list[str]:
    """Two columns, the second aligned."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in rows]


KEY_HELP = "the segment's key"


def ruleset_with_segment(key: str) -> Ruleset:
    """The rules in force. Raises CommandError if they hold no such segment."""
    ruleset = known_ruleset().ruleset
    if key not in ruleset.definitions:
        near = difflib.get_close_matches(key, ruleset.definitions, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise CommandError(f"There is no segment {key!r}.{hint}")
    return ruleset


def read_json(path: str) -> object:
    """A JSON file, also one with a byte order mark. Raises CommandError, naming the file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}.") from error


CANNOT_TELL = 2
"""The exit code where LaunchDarkly's flags, or what they are compared with, are not known."""


def launchdarkly_data() -> RawData:
    """Flags and segments as the SDK was given them. Raises CommandError if it has none yet."""
    with looking():
        if not has_flags():
            raise CommandError("LaunchDarkly has not sent any flags.", returncode=CANNOT_TELL)
        return feature_store().raw()
