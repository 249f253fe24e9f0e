"""Snapshots: what leaves the ORM, and in how many queries."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Group

from featureflags.kinds.registry import user_kind
from tests.factories import UserFactory
from users.models import User

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
    from_row = user_kind().snapshots_by_key([str(ada.pk)])[str(ada.pk)]
    assert (
        from_row
        == user_kind().snapshot_of(ada)
        == user_kind().snapshot_of(User.objects.get(pk=ada.pk))
    )
    assert from_row.groups == ("Editors", "writers")
    assert from_row.created_at == 1735787045678901
    assert from_row.key == str(ada.pk)


def test_it_is_frozen_and_made_of_json(ada: User) -> None:
    snapshot = user_kind().snapshot_of(ada)
    with pytest.raises(AttributeError):
        snapshot.role = "admin"  # the point of the test
    names = snapshot.__struct_fields__
    assert all(name == name.lower() and name.isidentifier() for name in names)
    assert json.loads(json.dumps(msgspec.to_builtins(snapshot)))


def test_one_user_is_one_query_with_groups(
    ada: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_num_queries(1):
        user_kind().snapshots_by_key([str(ada.pk)])
    with django_assert_num_queries(1):
        found = user_kind().find("ADA@agpt.co")
        assert found is not None
        user_kind().snapshot_of(found)


def test_many_users_are_one_query(
    ada: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    keys = [str(user.pk) for user in UserFactory.create_batch(20)]
    with django_assert_num_queries(1):
        assert len(user_kind().snapshots_by_key([*keys, str(ada.pk), "no-uuid"])) == 21
    with django_assert_num_queries(1):
        assert len(user_kind().snapshots(User.objects.all())) == 21


def test_no_query_for_keys_that_no_user_can_have(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    with django_assert_num_queries(0):
        assert user_kind().snapshots_by_key(["service-x"]) == {}


def test_a_change_of_groups_is_seen_by_the_instance_it_was_made_on(ada: User) -> None:
    loaded = User.objects.with_group_names().get(pk=ada.pk)
    loaded.groups.add(Group.objects.create(name="new"))
    assert "new" in user_kind().snapshot_of(loaded).groups


def test_users_are_found_by_key_or_address(ada: User) -> None:
    assert user_kind().find(str(ada.pk)) == user_kind().find("Ada@Agpt.co") == ada
    assert user_kind().find("nobody@agpt.co") is None
    assert user_kind().find("00000000-0000-4000-8000-000000000000") is None
