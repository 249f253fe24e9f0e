"""The triggers on PostgreSQL: one function and one statement trigger for each event of a watch.

    UPDATE users_user SET name = …      -- 3 rows, of which 2 really change
      → one row in the outbox: {"kind": "user", "keys": ["…", "…"]}
      → INFO: guidon {"kind": "user", "ids": [17], "keys": ["…", "…"]}

The transition tables of a statement are compared, every column as text by its characters: `json` has no equality, and
citext and some collations take "A" for "a". Rows are paired by their key where that identifies them; else EXCEPT finds those
that are new or gone. Only the comparison is guarded: if it fails, since a column
was renamed meanwhile, the project's write goes through and everybody counts as changed.
A failing INSERT into the outbox fails the write, so that no change goes unnoticed.

No trigger has WHEN or a column list, which would block migrations of these columns. The functions
run as their owner with a fixed search path, so that every role that may write the table is seen.
Nothing notifies: NOTIFY takes a lock of the whole database at each commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from featureflags.capture.statements import (
    KEYS_IN_A_ROW,
    MOST_KEYS,
    OUTBOX,
    RULE_TABLES,
    VERSION,
    Trigger,
    fingerprint,
    literal,
    quote,
    trigger_name,
    version_defaults,
)
from featureflags.capture.watches import Watch

NOTICE: Final = "guidon "
"""What the INFO begins with, before its JSON. A connection hears it whatever `client_min_messages` is."""
KEYS_IN_NOTICE: Final = 1_000
"""More keys are read from the outbox."""

Schemas = Mapping[str, tuple[str, str]]
"""Of each table, as a model names it: its schema, and its name there."""
Types = Mapping[str, Mapping[str, str]]
"""Of each table: the type of each column."""

OLD, NEW = "old_rows", "new_rows"

FUNCTION = """\
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guidon$
-- fingerprint {fingerprint}
{body}
$guidon$"""

COMPARED: Final = "-- columns "
"""Before a JSON list of the columns whose change counts, in the function of an update."""

TYPES: Final = "-- types "
"""Before a JSON object: the type of each of these columns when the function was written. Another type does not
make the function old, but a change of it has written rows that no trigger saw."""

TELL = """\
{compared}DECLARE
    found text[];
    ids bigint[];
    failed text;
BEGIN
    BEGIN
        {find}
        IF pg_catalog.cardinality(found) > {most} THEN
            found := NULL;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        found := NULL;
        failed := SQLERRM;
    END;
    IF found IS NULL THEN
        INSERT INTO {outbox} (kind, keys) VALUES ({kind}, NULL) RETURNING ARRAY[id] INTO ids;
    ELSIF found = '{{}}' THEN
        RETURN NULL;
    ELSIF pg_catalog.cardinality(found) <= {row} THEN
        INSERT INTO {outbox} (kind, keys) VALUES ({kind}, pg_catalog.to_jsonb(found))
            RETURNING ARRAY[id] INTO ids;
    ELSE
        WITH written AS (
            INSERT INTO {outbox} (kind, keys)
            SELECT {kind}, pg_catalog.to_jsonb(pg_catalog.array_agg(each.key))
            FROM pg_catalog.unnest(found) WITH ORDINALITY AS each(key, number)
            GROUP BY (each.number - 1) / {row} RETURNING id
        ) SELECT pg_catalog.array_agg(id) INTO ids FROM written;
    END IF;
    RAISE INFO '{notice}%', pg_catalog.jsonb_build_object(
        'kind', {kind}, 'ids', ids, 'failed', failed, 'keys',
        CASE WHEN pg_catalog.cardinality(found) <= {inline} THEN pg_catalog.to_jsonb(found) END);
    RETURN NULL;
END"""

RAISE_VERSION = """\
BEGIN
    UPDATE {version} SET number = number + 1, token = pg_catalog.gen_random_uuid() WHERE id = 1;
    IF NOT FOUND THEN
        INSERT INTO {version} ({columns}, token) VALUES ({values}, pg_catalog.gen_random_uuid())
            ON CONFLICT (id) DO UPDATE
            SET number = {version}.number + 1, token = EXCLUDED.token;
    END IF;
    RAISE INFO '{notice}%', pg_catalog.jsonb_build_object('rules', true);
    RETURN NULL;
END"""


def triggers(watches: Iterable[Watch], schemas: Schemas, types: Types) -> list[Trigger]:
    """Every trigger of these watches, and those of the segment tables."""
    made = [
        trigger
        for watch in watches
        for trigger in (
            _of_watch(watch, "update", schemas, types.get(watch.table, {})),
            *(() if watch.is_own else (_of_watch(watch, "insert", schemas),)),
            _of_watch(watch, "delete", schemas),
            _of_watch(watch, "truncate", schemas),
        )
    ]
    return made + [_of_rules(table, schemas) for table in RULE_TABLES]


def removal(name: str, schema: str, table: str) -> tuple[str, ...]:
    """The statements that remove an installed trigger with its function."""
    return (
        f"DROP TRIGGER IF EXISTS {quote(name)} ON {quote(schema)}.{quote(table)}",
        f"DROP FUNCTION IF EXISTS {quote(schema)}.{quote(name)}()",
    )


ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('guidon capture'))"
"""Two processes that migrate at once install after one another."""


def update_trigger(watch: Watch) -> str:
    """The name of the trigger that sees updates: the same for watches of other columns."""
    return _name_and_time(watch, "update")[0]


def compared_columns(source: str) -> frozenset[str]:
    """What the function of an installed update trigger compares."""
    lines = (line for line in source.splitlines() if line.startswith(COMPARED))
    return frozenset(json.loads(next(lines, COMPARED + "[]").removeprefix(COMPARED)))


def types_seen(source: str) -> dict[str, str]:
    """The types of the columns when the function of an installed trigger was written."""
    lines = (line for line in source.splitlines() if line.startswith(TYPES))
    found: dict[str, str] = json.loads(next(lines, TYPES + "{}").removeprefix(TYPES))
    return found


def _of_watch(
    watch: Watch, event: str, schemas: Schemas, types: Mapping[str, str] | None = None
) -> Trigger:
    columns = sorted(watch.columns)
    watch = replace(watch, columns=tuple(columns))
    body = TELL.format(
        compared="" if types is None else _compared_lines(watch, types),
        find=_find(watch, event, schemas),
        most=MOST_KEYS,
        row=KEYS_IN_A_ROW,
        inline=KEYS_IN_NOTICE,
        outbox=_qualified(OUTBOX, schemas),
        kind=literal(watch.kind),
        notice=NOTICE,
    )
    needed = tuple(sorted({**watch.needed, OUTBOX: frozenset({"id", "kind", "keys"})}.items()))
    name, when, seen = _name_and_time(watch, event)
    return _trigger(name, watch.table, when, seen, body, needed, schemas)


def _compared_lines(watch: Watch, types: Mapping[str, str]) -> str:
    read = sorted({watch.start, *watch.columns} & types.keys())
    found = json.dumps({column: types[column] for column in read})
    return f"{TYPES}{found}\n{COMPARED}{json.dumps(watch.columns)}\n"


def _name_and_time(watch: Watch, event: str) -> tuple[str, str, str]:
    """Of a trigger: its name, when it runs, and the rows that it sees."""
    # A table that is truncated with the outbox must not leave a row in it: before, not after.
    when = "BEFORE TRUNCATE" if event == "truncate" else f"AFTER {event.upper()}"
    seen = {
        "update": f" REFERENCING OLD TABLE AS {OLD} NEW TABLE AS {NEW}",
        "insert": f" REFERENCING NEW TABLE AS {NEW}",
        "delete": f" REFERENCING OLD TABLE AS {OLD}",
        "truncate": "",
    }[event]
    return trigger_name(event, watch.table, watch, when + seen), when, seen


def _of_rules(table: str, schemas: Schemas) -> Trigger:
    defaults = version_defaults()
    body = RAISE_VERSION.format(
        version=_qualified(VERSION, schemas),
        columns=", ".join(map(quote, defaults)),
        values=", ".join(defaults.values()),
        notice=NOTICE,
    )
    # Before the first row is locked, as the application does: else the two could deadlock.
    when = "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE"
    needed = ((VERSION, frozenset({*defaults, "token"})),)
    name = trigger_name("rules", table, head=when)
    return _trigger(name, table, when, "", body, needed, schemas)


def _trigger(
    name: str,
    table: str,
    when: str,
    seen: str,
    body: str,
    needed: tuple[tuple[str, frozenset[str]], ...],
    schemas: Schemas,
) -> Trigger:
    function = f"{quote(schemas[table][0])}.{quote(name)}"
    on = _qualified(table, schemas)
    head = f"CREATE TRIGGER {quote(name)} {when} ON {on}{seen}"
    lasting = (line for line in body.splitlines() if not line.startswith(TYPES))
    mark = fingerprint([head, *lasting])
    create = (
        FUNCTION.format(function=function, fingerprint=mark, body=body),
        f"{head} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
        # Also for sessions with session_replication_role = replica.
        f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {quote(name)}",
    )
    return Trigger(name=name, table=table, create=create, fingerprint=mark, needed=needed)


def _find(watch: Watch, event: str, schemas: Schemas) -> str:
    """The statement that puts the changed keys into `found`."""
    if event == "truncate":
        return "found := NULL;"
    if event != "update":
        rows = f"SELECT {quote(watch.start)} AS start FROM {NEW if event == 'insert' else OLD}"
        keys = _followed(watch, rows, schemas)
    elif watch.identity == (watch.start,) and not watch.path:
        return f"found := ARRAY({_paired(watch)} LIMIT {MOST_KEYS + 1});"
    else:
        start = f"{quote(watch.start)} AS start"
        columns = list(dict.fromkeys((*watch.identity, watch.start, *watch.columns)))
        old, new = _compared(start, columns, OLD), _compared(start, columns, NEW)
        keys = _followed(
            watch,
            f"SELECT start FROM ({old} EXCEPT {new}) AS gone"
            f" UNION ALL SELECT start FROM ({new} EXCEPT {old}) AS come",
            schemas,
        )
    return f"found := ARRAY(SELECT key FROM ({keys}) AS every LIMIT {MOST_KEYS + 1});"


def _paired(watch: Watch) -> str:
    """Where the key identifies the row: the keys of rows that differ, and both keys of a row whose own has.

    A full join never becomes a nested loop, which is what the planner makes of other joins of these tables
    once it has planned for a write of one row.
    """
    key = quote(watch.start)
    columns = [_exact(quote(column)) for column in watch.columns if column != watch.start]
    differs = [f"earlier.{key} IS NULL", f"later.{key} IS NULL"]
    differs += [f"earlier.{each} IS DISTINCT FROM later.{each}" for each in columns]
    return (
        f"SELECT COALESCE(earlier.{key}, later.{key})::text"
        f" FROM {OLD} AS earlier FULL JOIN {NEW} AS later ON earlier.{key} = later.{key}"
        f" WHERE {' OR '.join(differs)}"
    )


def _followed(watch: Watch, rows: str, schemas: Schemas) -> str:
    """From the start of each row along the path to the keys, each once."""
    key, joins = "changed.start", ""
    for number, hop in enumerate(watch.path):
        name = f"hop{number}"
        joins += (
            f" JOIN {_qualified(hop.table, schemas)} AS {name} ON {name}.{quote(hop.match)} = {key}"
        )
        key = f"{name}.{quote(hop.take)}"
    return f"SELECT DISTINCT {key}::text AS key FROM ({rows}) AS changed{joins} WHERE {key} IS NOT NULL"


def _compared(start: str, columns: Iterable[str], rows: str) -> str:
    return (
        f"SELECT {', '.join([start, *(_exact(quote(column)) for column in columns)])} FROM {rows}"
    )


def _exact(column: str) -> str:
    """As text by its characters: a collation may take "A" for "a"."""
    return f'{column}::text COLLATE "C"'


def _qualified(table: str, schemas: Schemas) -> str:
    return ".".join(map(quote, schemas[table]))
