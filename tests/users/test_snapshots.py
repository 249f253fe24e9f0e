"""Snapshots: what leaves the ORM, and in how many queries."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Group

from tests.factories import UserFactory
from users.models import User
from users.selectors import find_user, snapshot_of, snapshots, snapshots_by_key
from users.snapshots import UserSnapshot

pytestmark = pytest.mark.django_db

CREATED = datetime.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)


@pytest.fixture
def ada() -> User:
    user = UserFactory.create(
        email="ada@agpt.co", name="Ada", created_at=CREATED, metadata={"plan": "pro", "n": [1]}
    )
    for name in ("writers", "Editors"):
        user.groups.add(Group.objects.create(name=name))
    return user


def test_a_row_and_an_instance_give_the_same_snapshot(ada: User) -> None:
    from_row = snapshots_by_key([str(ada.pk)])[str(ada.pk)]
    assert from_row == snapshot_of(ada) == snapshot_of(User.objects.get(pk=ada.pk))
    assert from_row.groups == ("Editors", "writers")
    assert from_row.created_at == 1735787045678901
    assert from_row.key == str(ada.pk)


def test_it_is_frozen_and_made_of_json(ada: User) -> None:
    snapshot = snapshot_of(ada)
    with pytest.raises(AttributeError):
        snapshot.role = "admin"  # type: ignore[misc]  # the point of the test
    names = UserSnapshot.__struct_fields__
    assert all(name == name.lower() and name.isidentifier() for name in names)
    assert json.loads(json.dumps(msgspec.to_builtins(snapshot)))


def test_one_user_is_one_query_with_groups(
    ada: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_num_queries(1):
        snapshots_by_key([str(ada.pk)])
    with django_assert_num_queries(1):
        found = find_user("ADA@agpt.co")
        assert found is not None
        snapshot_of(found)


def test_many_users_are_one_query(
    ada: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    keys = [str(user.pk) for user in UserFactory.create_batch(20)]
    with django_assert_num_queries(1):
        assert len(snapshots_by_key([*keys, str(ada.pk), "no-uuid"])) == 21
    with django_assert_num_queries(1):
        assert len(snapshots(User.objects.all())) == 21


def test_no_query_for_keys_that_no_user_can_have(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    with django_assert_num_queries(0):
        assert snapshots_by_key(["service-x"]) == {}


def test_a_change_of_groups_is_seen_by_the_instance_it_was_made_on(ada: User) -> None:
    loaded = User.objects.with_group_names().get(pk=ada.pk)
    loaded.groups.add(Group.objects.create(name="new"))
    assert "new" in snapshot_of(loaded).groups


def test_users_are_found_by_key_or_address(ada: User) -> None:
    assert find_user(str(ada.pk)) == find_user("Ada@Agpt.co") == ada
    assert find_user("nobody@agpt.co") is None
    assert find_user("00000000-0000-4000-8000-000000000000") is None
