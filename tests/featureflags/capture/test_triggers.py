"""The triggers: each write records the keys of exactly those rows whose snapshot changes, by any program."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from featureflags.models import OutboxEvent, SegmentMember
from tests.factories import UserFactory
from tests.featureflags.capture.writing import execute, load
from users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


class Rows:
    """Two users, of whom the first is in a group; all that was noticed so far is forgotten."""

    def __init__(self) -> None:
        self.group = Group.objects.create(name="writers")
        self.other_group = Group.objects.create(name="readers")
        self.user = UserFactory.create(email="ada@example.com")
        self.other = UserFactory.create(email="ben@example.com")
        self.user.groups.add(self.group)


@pytest.fixture
def rows() -> Rows:
    made = Rows()
    OutboxEvent.objects.all().delete()
    return made


def recorded() -> set[str] | None:
    """The keys in the outbox; None: everybody. Empties it."""
    found: set[str] | None = set()
    for keys in OutboxEvent.objects.filter(kind="user").values_list("keys", flat=True):
        found = None if keys is None or found is None else found | set(keys)
    OutboxEvent.objects.all().delete()
    return found


def as_stored(user: User) -> Any:
    return user.pk.hex if connection.vendor == "sqlite" else user.pk


def set_name(user: User, name: str) -> User:
    user.name = name
    return user


WRITES: dict[str, Callable[[Rows], Any]] = {
    "save": lambda rows: set_name(rows.user, "x").save(),
    "save of a field": lambda rows: set_name(rows.user, "x").save(update_fields=["name"]),
    "update": lambda rows: User.objects.filter(pk=rows.user.pk).update(name="x"),
    "bulk_update": lambda rows: User.objects.bulk_update([set_name(rows.user, "x")], ["name"]),
    "upsert": lambda rows: User.objects.bulk_create(
        [set_name(rows.user, "x")],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=["id"],
    ),
    "loaddata": lambda rows: load(set_name(rows.user, "x")),
    "raw SQL": lambda rows: execute(
        "UPDATE users_user SET name = 'x' WHERE email = %s", rows.user.email
    ),
    "raw SQL of metadata": lambda rows: execute(
        """UPDATE users_user SET metadata = '{"plan": "pro"}' WHERE email = %s""", rows.user.email
    ),
    "letters of another case": lambda rows: execute(
        "UPDATE users_user SET name = upper(name) WHERE email = %s", rows.user.email
    ),
    "last seen": lambda rows: execute(
        "UPDATE users_user SET last_seen_at = created_at WHERE email = %s", rows.user.email
    ),
    "delete": lambda rows: rows.user.delete(),
    "delete of many": lambda rows: User.objects.filter(pk=rows.user.pk).delete(),
    "groups.add": lambda rows: rows.user.groups.add(rows.other_group),
    "groups.remove": lambda rows: rows.user.groups.remove(rows.group),
    "groups.clear": lambda rows: rows.user.groups.clear(),
    "group.user_set.clear": lambda rows: rows.group.user_set.clear(),
    "group saved": lambda rows: rename(rows.group),
    "group updated": lambda rows: Group.objects.filter(pk=rows.group.pk).update(name="x"),
    "group upsert": lambda rows: Group.objects.bulk_create(
        [Group(pk=rows.group.pk, name="x")],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=["id"],
    ),
    "group deleted": lambda rows: rows.group.delete(),
    "groups deleted": lambda rows: Group.objects.filter(pk=rows.group.pk).delete(),
    "raw SQL of groups": lambda rows: execute(
        "UPDATE auth_group SET name = 'x' WHERE id = %s", rows.group.pk
    ),
    "raw SQL of links": lambda rows: execute("DELETE FROM users_user_groups"),
    "another group in the link": lambda rows: execute(
        "UPDATE users_user_groups SET group_id = %s", rows.other_group.pk
    ),
}


def rename(group: Group) -> None:
    group.name = "x"
    group.save()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_each_write_records_only_the_changed_user(rows: Rows, write: Callable[[Rows], Any]) -> None:
    key = str(rows.user.pk)

    write(rows)

    assert recorded() == {key}


UNCHANGING: dict[str, Callable[[Rows], Any]] = {
    "an unwatched column": lambda rows: execute("UPDATE users_user SET password = 'x'"),
    "the same values": lambda rows: User.objects.update(role="user"),
    "an unchanged upsert": lambda rows: execute("UPDATE auth_group SET name = name"),
    "a user who is new": lambda rows: UserFactory.create(),
    "a group without members": lambda rows: rename(rows.other_group),
    "no row at all": lambda rows: execute("UPDATE users_user SET name = 'x' WHERE 1 = 0"),
}


@pytest.mark.parametrize("write", UNCHANGING.values(), ids=UNCHANGING.keys())
def test_a_write_that_changes_no_snapshot_records_nobody(
    rows: Rows, write: Callable[[Rows], Any]
) -> None:
    write(rows)

    assert recorded() == set()


def test_a_link_that_moves_to_another_user_records_both(rows: Rows) -> None:
    execute("UPDATE users_user_groups SET user_id = %s", as_stored(rows.other))

    assert recorded() == {str(rows.user.pk), str(rows.other.pk)}


def test_a_changed_key_records_the_old_and_the_new(rows: Rows) -> None:
    before, after = str(rows.other.pk), uuid.uuid4()
    SegmentMember.objects.all().delete()

    stored = after.hex if connection.vendor == "sqlite" else after
    execute("UPDATE users_user SET id = %s WHERE email = %s", stored, rows.other.email)

    assert recorded() == {before, str(after)}


def test_a_row_that_is_replaced_is_recorded(rows: Rows) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("INSERT OR REPLACE is SQLite's")
    execute("DELETE FROM users_user_groups")
    recorded()

    execute(
        "INSERT OR REPLACE INTO users_user (id, email, email_verified, name, role, metadata,"
        " created_at, is_active, is_staff, is_superuser, password)"
        " SELECT id, email, email_verified, 'x', role, metadata, created_at, is_active, is_staff,"
        " is_superuser, password FROM users_user WHERE email = %s",
        rows.user.email,
    )

    assert recorded() == {str(rows.user.pk)}


def test_a_rolled_back_write_leaves_nothing(rows: Rows) -> None:
    execute("BEGIN")
    execute("UPDATE users_user SET name = 'x'")
    execute("ROLLBACK")

    assert recorded() == set()


@on_postgresql
def test_many_keys_take_rows_of_5000_and_too_many_are_everybody(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        "INSERT INTO users_user (id, email, email_verified, name, role, metadata, created_at,"
        " is_active, is_staff, is_superuser, password)"
        " SELECT gen_random_uuid(), n || '@example.org', false, '', 'user', '{}', now(), true,"
        " false, false, '' FROM generate_series(1, 12000) AS n"
    )
    assert recorded() == set()

    execute("UPDATE users_user SET name = 'y'")

    sizes = [len(keys or ()) for keys in OutboxEvent.objects.values_list("keys", flat=True)]
    assert sorted(sizes) == [2002, 5000, 5000]
    found = recorded()
    assert found is not None
    assert len(found) == 12002


@on_postgresql
def test_truncate_records_that_everybody_has_changed(rows: Rows) -> None:
    execute("TRUNCATE users_user CASCADE")

    assert recorded() is None


@on_postgresql
@pytest.mark.parametrize("setting", ["session_replication_role = replica", "search_path = ''"])
def test_no_setting_of_a_session_switches_them_off(rows: Rows, setting: str) -> None:
    execute(f"SET {setting}")
    try:
        execute("UPDATE public.users_user SET name = 'x' WHERE email = %s", rows.user.email)
    finally:
        execute("RESET session_replication_role")
        execute("RESET search_path")

    assert recorded() == {str(rows.user.pk)}


@on_postgresql
def test_a_role_that_may_only_write_the_table_is_seen(rows: Rows) -> None:
    execute("DROP ROLE IF EXISTS writer_of_users")
    execute("CREATE ROLE writer_of_users")
    execute("GRANT SELECT, UPDATE ON users_user TO writer_of_users")
    execute("SET ROLE writer_of_users")
    try:
        execute("UPDATE users_user SET name = 'x' WHERE email = %s", rows.user.email)
    finally:
        execute("RESET ROLE")
        execute("DROP OWNED BY writer_of_users")
        execute("DROP ROLE writer_of_users")

    assert recorded() == {str(rows.user.pk)}


@on_postgresql
def test_a_copy_and_a_function_are_seen(rows: Rows) -> None:
    copied = "COPY users_user_groups (user_id, group_id) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(copied) as copy:
        copy.write_row((rows.other.pk, rows.group.pk))
    assert recorded() == {str(rows.other.pk)}

    execute("DO $$ BEGIN UPDATE users_user SET name = 'x' WHERE email = 'ada@example.com'; END $$")
    assert recorded() == {str(rows.user.pk)}

    execute(
        "WITH changed AS (UPDATE users_user SET name = 'z' WHERE email = 'ada@example.com'"
        " RETURNING id) SELECT count(*) FROM changed"
    )
    assert recorded() == {str(rows.user.pk)}


@on_postgresql
def test_after_a_rename_writes_go_through_and_everybody_counts_as_changed(rows: Rows) -> None:
    execute("ALTER TABLE users_user RENAME COLUMN name TO title")
    try:
        execute("UPDATE users_user SET title = 'x' WHERE email = 'ada@example.com'")
        assert recorded() is None
    finally:
        execute("ALTER TABLE users_user RENAME COLUMN title TO name")


def test_the_outbox_holds_json_that_django_reads(rows: Rows) -> None:
    execute("UPDATE users_user SET name = 'x' WHERE email = 'ada@example.com'")

    event = OutboxEvent.objects.get()
    assert (event.kind, event.keys) == ("user", [str(rows.user.pk)])
    assert event.created_at.tzinfo is not None
    assert json.loads(json.dumps(event.keys)) == event.keys
