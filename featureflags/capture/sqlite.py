"""The triggers on SQLite, which knows no statement triggers: one for each event of a watch and row.

SQLite refuses to drop a column that a trigger names, and Django rebuilds a table for most changes,
which loses its triggers: they are dropped before each `migrate` and made again after it. A trigger
that names something missing can be created, and then every write to its table fails: what a
trigger names is looked up first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from featureflags.capture.statements import (
    OUTBOX,
    RULE_TABLES,
    RULES,
    VERSION,
    Trigger,
    fingerprint,
    literal,
    quote,
    trigger_name,
    version_defaults,
)
from featureflags.capture.watches import Watch

NEW_UUID: Final = "lower(hex(randomblob(16)))"


def triggers(watches: Iterable[Watch]) -> list[Trigger]:
    """Every trigger of these watches, and those of the segment tables."""
    made = [
        _of_watch(watch, event) for watch in watches for event in ("update", "insert", "delete")
    ]
    events = ("update", "insert", "delete")
    return made + [_of_rules(table, event) for table in RULE_TABLES for event in events]


def removal(name: str) -> tuple[str, ...]:
    """The statement that removes an installed trigger."""
    return (f"DROP TRIGGER IF EXISTS {quote(name)}",)


def bare(table: str) -> str:
    """The name of a table for which a model has one that is quoted already."""
    return table[1:-1] if len(table) > 2 and table[0] == table[-1] == '"' else table


def _table(name: str) -> str:
    return quote(bare(name))


def _of_watch(watch: Watch, event: str) -> Trigger:
    rows = {"update": ("OLD", "NEW"), "insert": ("NEW",), "delete": ("OLD",)}[event]
    when = f"AFTER {event.upper()}"
    condition = ""
    if event == "update":
        # Without a list of columns: no UPDATE names a generated one.
        watched = list(dict.fromkeys((watch.start, *watch.columns)))
        # Binary: a column that takes "A" for "a" has changed all the same.
        differs = (f"OLD.{quote(name)} IS NOT NEW.{quote(name)} COLLATE BINARY" for name in watched)
        condition = f" WHEN {' OR '.join(differs)}"
    elif event == "insert" and watch.is_own:
        # INSERT OR REPLACE fires no DELETE trigger unless `recursive_triggers` is on.
        when = "BEFORE INSERT"
        same = f"{quote(watch.start)} = NEW.{quote(watch.start)}"
        condition = f" WHEN EXISTS (SELECT 1 FROM {_table(watch.table)} WHERE {same})"
    body = (
        f"INSERT INTO {quote(OUTBOX)} (kind, keys)"
        f" SELECT {literal(watch.kind)}, json_group_array(DISTINCT key)"
        f" FROM ({_keys(watch, rows)}) WHERE key IS NOT NULL HAVING count(*) > 0"
    )
    needed = tuple(sorted({**watch.needed, OUTBOX: frozenset({"id", "kind", "keys"})}.items()))
    name = trigger_name(event, watch.table, watch)
    return _trigger(name, watch.table, when + f" ON {_table(watch.table)}", condition, body, needed)


def _of_rules(table: str, event: str) -> Trigger:
    defaults = version_defaults()
    columns = ", ".join(map(quote, (*defaults, "token")))
    body = (
        f"INSERT INTO {quote(VERSION)} ({columns}) VALUES ({', '.join(defaults.values())}, {NEW_UUID})"
        " ON CONFLICT (id) DO UPDATE SET number = number + 1, token = excluded.token;"
        f" INSERT INTO {quote(OUTBOX)} (kind, keys) VALUES ({literal(RULES)}, NULL)"
    )
    needed = (
        (VERSION, frozenset({*defaults, "token"})),
        (OUTBOX, frozenset({"id", "kind", "keys"})),
    )
    name = trigger_name(f"rules_{event}", table)
    return _trigger(name, table, f"AFTER {event.upper()} ON {quote(table)}", "", body, needed)


def _trigger(
    name: str,
    table: str,
    when: str,
    condition: str,
    body: str,
    needed: tuple[tuple[str, frozenset[str]], ...],
) -> Trigger:
    rest = f"{when} FOR EACH ROW{condition} BEGIN {body}; END"
    mark = fingerprint([rest])
    create = f"CREATE TRIGGER {quote(name)} {rest.removesuffix('END')}/* fingerprint {mark} */ END"
    return Trigger(name=name, table=table, create=(create,), fingerprint=mark, needed=needed)


def _keys(watch: Watch, rows: Iterable[str]) -> str:
    """The keys that the changed row leads to, before and after."""
    starts = " UNION ALL ".join(f"SELECT {row}.{quote(watch.start)} AS start" for row in rows)
    key, joins = "changed.start", ""
    for number, hop in enumerate(watch.path):
        name = f"hop{number}"
        joins += f" JOIN {_table(hop.table)} AS {name} ON {name}.{quote(hop.match)} = {key}"
        key = f"{name}.{quote(hop.take)}"
    return f"SELECT {_as_text(key, watch)} AS key FROM ({starts}) AS changed{joins}"


def _as_text(key: str, watch: Watch) -> str:
    if not watch.is_uuid:
        return f"CAST({key} AS TEXT)"
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return " || '-' || ".join(f"substr({key}, {start}, {length})" for start, length in parts)
