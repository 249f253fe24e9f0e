"""Every way to write a user drops their snapshot, and only what must drops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, update_last_login
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from featureflags.cache import entries, invalidation, protocol, snapshot_store
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.capture.postgresql import KEYS_IN_NOTICE
from featureflags.contexts.results import ContextSource
from featureflags.core.database import IsCurrent
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.registry import user_kind
from featureflags.models import SegmentMember
from featureflags.models.api_keys import digest_of
from featureflags.models.versions import RulesetVersion
from tests.emptying import empty_caches
from tests.factories import (
    SegmentFactory,
    SegmentMemberFactory,
    UserFactory,
    clause,
    rule,
    token_for,
)
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def warm(user: User) -> str:
    key = str(user.pk)
    resolve(key)
    assert is_warm(key)
    return key


def is_warm(key: str) -> bool:
    return key in protocol.read([key]).fresh


@pytest.fixture
def group() -> Group:
    return Group.objects.create(name="writers")


@pytest.fixture
def user(group: Group) -> User:
    member = UserFactory.create()
    member.groups.add(group)
    return member


def change_email(user: User, group: Group) -> None:
    user.email = "other@example.com"
    user.save()


WRITES: dict[str, Callable[[User, Group], Any]] = {
    "save": change_email,
    "save of a field": lambda user, group: with_role(user).save(update_fields=["role"]),
    "delete": lambda user, group: user.delete(),
    "delete of many": lambda user, group: User.objects.filter(pk=user.pk).delete(),
    "update": lambda user, group: User.objects.update(name="New"),
    "update that hides the row from its own filter": lambda user, group: User.objects.filter(
        role="user"
    ).update(role="admin"),
    "update of last_seen_at by an expression": lambda user, group: User.objects.update(
        last_seen_at=F("created_at")
    ),
    "bulk_update": lambda user, group: User.objects.bulk_update([with_role(user)], ["role"]),
    "upsert": lambda user, group: User.objects.bulk_create(
        [with_role(user)], update_conflicts=True, update_fields=["role"], unique_fields=["id"]
    ),
    "raw SQL": lambda user, group: execute("UPDATE users_user SET role = 'admin'"),
    "raw SQL of groups": lambda user, group: execute(
        "UPDATE auth_group SET name = 'authors' WHERE name = 'writers'"
    ),
    "last_seen_at": lambda user, group: User.objects.mark_seen(str(user.pk), timezone.now()),
    "groups.add": lambda user, group: user.groups.add(Group.objects.create(name="x")),
    "groups.remove": lambda user, group: user.groups.remove(group),
    "groups.set": lambda user, group: user.groups.set([]),
    "groups.clear": lambda user, group: user.groups.clear(),
    "group.user_set.remove": lambda user, group: group.user_set.remove(user),
    "group.user_set.clear": lambda user, group: group.user_set.clear(),
    "group.user_set.add": lambda user, group: Group.objects.create(name="x").user_set.add(user),
    "group renamed": lambda user, group: rename(group),
    "group update": lambda user, group: Group.objects.filter(pk=group.pk).update(name="authors"),
    "group bulk_update": lambda user, group: Group.objects.bulk_update(
        [Group(pk=group.pk, name="authors")], ["name"]
    ),
    "update of a user's groups": lambda user, group: user.groups.update(name="authors"),
    "group upsert": lambda user, group: Group.objects.bulk_create(
        [Group(pk=group.pk, name="authors")],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=["id"],
    ),
    "group deleted": lambda user, group: group.delete(),
    "groups deleted": lambda user, group: Group.objects.all().delete(),
    "documented call": lambda user, group: invalidation.touched("user", [str(user.pk)]),
}


def with_role(user: User) -> User:
    user.role = "admin"
    return user


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def rename(group: Group) -> None:
    group.name = "authors"
    group.save()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_write_drops_the_snapshot(
    write: Callable[[User, Group], Any], user: User, group: Group
) -> None:
    key = warm(user)
    write(user, group)
    assert not is_warm(key)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_and_what_follows_is_what_the_row_says(
    write: Callable[[User, Group], Any], user: User, group: Group
) -> None:
    key = warm(user)
    write(user, group)
    row = User.objects.filter(pk=key).first()
    context = contexts_for([key])[key].context
    if row is None:
        assert context.to_dict() == {"kind": "user", "key": key}
    else:
        assert context.get("email") == row.email
        assert context.get("role") == row.role
        assert context.get("groups") == sorted(row.groups.values_list("name", flat=True))


KEEPS: dict[str, Callable[[User], Any]] = {
    "last_login": lambda user: update_last_login(None, user),  # type: ignore[arg-type]
    "update of last_login": lambda user: User.objects.update(last_login=timezone.now()),
    "password": lambda user: user.save(update_fields=["password"]),
    "save without a change": lambda user: user.save(),
    "update without a change": lambda user: User.objects.update(role="user"),
    "another user": lambda user: UserFactory.create().delete(),
    "a segment": lambda user: SegmentFactory.create(),
    "a member": lambda user: SegmentMemberFactory.create(user=user),
}


@pytest.mark.parametrize("write", KEEPS.values(), ids=KEEPS)
def test_what_no_snapshot_holds_keeps_it(write: Callable[[User], Any], user: User) -> None:
    key = warm(user)
    write(user)
    assert is_warm(key)


def test_a_write_that_is_rolled_back_leaves_no_trace(user: User) -> None:
    key = warm(user)
    with transaction.atomic():
        User.objects.update(role="admin")
        assert resolve(key).context.get("role") == "admin", "one's own write is seen"
        transaction.set_rollback(True)
    assert resolve(key).context.get("role") == "user"
    empty_caches()
    assert resolve(key).context.get("role") == "user"
    assert resolve(key).source is ContextSource.CACHE


def test_a_reader_before_the_commit_does_not_put_the_old_row_back(user: User) -> None:
    """The order that poisons a cache: read the row, commit a change, fill with what was read."""
    key = str(user.pk)
    read = protocol.read([key])
    old, is_current = user_kind().snapshots_and([key], IsCurrent(), using="default")
    User.objects.update(role="admin")
    protocol.fill(read, old.values(), is_current=is_current)
    assert is_current
    assert resolve(key).context.get("role") == "admin"


def test_a_write_within_a_unit_is_seen_by_the_rest_of_it(user: User) -> None:
    key = str(user.pk)
    with unit_of_work():
        assert resolve(key).context.get("role") == "user"
        User.objects.update(role="admin")
        assert resolve(key).context.get("role") == "admin"
        assert "admin" in resolve(key).segments
        SegmentFactory.create(key="late", rules=[rule(clause("role", "in", "admin"))])
        assert "late" in resolve(key).segments


def test_a_segment_edit_reads_no_user_again(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    keys = [warm(user) for user in UserFactory.create_batch(50)]
    segment = SegmentFactory.create(key="s", rules=[rule(clause("role", "in", "user"))])
    segment.name = "renamed"
    segment.save()
    contexts_for(keys[:1])
    with django_assert_num_queries(0), unit_of_work():
        contexts = contexts_for(keys)
    assert {context.source for context in contexts.values()} == {ContextSource.CACHE}
    assert all("s" in context.segments for context in contexts.values())


def test_deleting_a_user_leaves_nothing_of_them_behind() -> None:
    """Every table and every cache is searched for the key and the address."""
    admin = UserFactory.create(superuser=True)
    user = UserFactory.create(email="ada.leaves@agpt.co", name="Ada Leaves", staff=True)
    key = str(user.pk)
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="beta"), user=user)
    token = token_for(user)
    user.groups.add(Group.objects.create(name="g"))
    users, members = (ContentType.objects.get_for_model(model) for model in (User, SegmentMember))
    for author, about, content_type, text in (
        (admin, key, users, "ada.leaves@agpt.co"),
        (admin, str(member.pk), members, str(member)),
        (user, "1", members, "what they did themselves"),
    ):
        LogEntry.objects.create(
            user=author,
            object_id=about,
            content_type=content_type,
            object_repr=text,
            action_flag=CHANGE,
            change_message="[]",
        )
    resolve(key)
    user.delete()

    assert list(LogEntry.objects.values_list("object_repr", flat=True).order_by("pk")) == [
        "(deleted user)",
        "beta: include (deleted user)",
        "what they did themselves",
    ], "the history is kept"
    stored = everything_stored()
    for needle in (key, key.replace("-", ""), digest_of(token), "ada.leaves", "Ada Leaves"):
        assert needle not in stored
    assert caches["featureflags"].get(entries.name_of(key)) is None
    assert protocol.read([key]).spare == {}


def everything_stored() -> str:
    """All rows of all tables as text."""
    found: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found)


class TestEmptiedTables:
    """As after `flush`: the database names no cache, and has no version."""

    @pytest.mark.parametrize("is_missing", [True, False])
    def test_a_large_write_returns_and_the_next_read_makes_up_for_it(
        self, is_missing: bool
    ) -> None:
        users = UserFactory.create_batch(3)
        User.objects.bulk_create(UserFactory.build_batch(KEYS_IN_NOTICE + 50))
        keys = [warm(user) for user in users]
        row = RulesetVersion.objects.filter(pk=1)
        if is_missing:
            row.delete()
        else:
            row.update(identity="another cache")
        User.objects.update(name="New")
        assert undelivered()
        RulesetVersion.objects.get_or_create(pk=1)
        snapshot_store.remove_version()
        for _ in range(3):
            protocol.read(keys)
            snapshot_store.remove_version()
        assert not undelivered()
        assert {contexts_for([key])[key].context.name for key in keys} == {"New"}

    def test_an_epoch_is_raised_without_a_row(self) -> None:
        RulesetVersion.objects.all().delete()
        invalidation.raise_epoch()
        assert RulesetVersion.objects.get().epoch > 0
