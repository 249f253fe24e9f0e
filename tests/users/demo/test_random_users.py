"""Random users: the same ones every time, within the model's rules, on both databases."""

from __future__ import annotations

import datetime
from collections import Counter

import pytest
from django.contrib.auth import authenticate
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from featureflags.evaluation.resolve import contexts_for
from users.demo import bulk_insert
from users.demo.random_users import crowd
from users.models import User

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)


@given(st.integers(0, 2_500), st.integers(0, 2_500))
def test_more_users_are_the_same_users_and_some_more(few: int, many: int) -> None:
    few, many = sorted((few, many))
    assert list(crowd(few, NOW)) == list(crowd(many, NOW))[:few]


def test_they_are_of_all_kinds() -> None:
    people = list(crowd(5_000, NOW))
    assert len({user.id for user in people}) == len({user.email for user in people}) == 5_000
    assert {user.id.version for user in people} == {4}
    domains = Counter(user.email.rpartition("@")[2] for user in people)
    assert set(domains) == {"example.com", "example.org", "example.net", "agpt.co"}
    assert {user.role for user in people} == {"user", "admin", "system"}
    assert {user.metadata["plan"] for user in people} == {"free", "basic", "pro", "team"}
    ages = Counter((NOW - user.created_at).days // 31 == 0 for user in people)
    assert ages[True] > 200
    assert all(user.last_seen_at is None or user.last_seen_at >= user.created_at for user in people)
    assert all(user.created_at <= NOW for user in people)
    assert {user.is_active for user in people} == {True, False}


@pytest.mark.django_db
def test_rows_are_what_the_model_would_have_written() -> None:
    people = list(crowd(300, NOW))
    assert bulk_insert.write_users(people) == 300
    for expected in people:
        user = User.objects.get(pk=expected.id)
        user.full_clean(exclude=["password"])
        stored = {name: getattr(user, name) for name in bulk_insert.COLUMNS}
        assert stored == {name: getattr(expected, name) for name in bulk_insert.COLUMNS}
        assert not user.has_usable_password()
        assert (user.is_staff, user.is_superuser) == (False, False)
        assert user.last_login is None
    assert authenticate(email=people[0].email, password="seeded") is None


@pytest.mark.django_db(transaction=True)
def test_they_have_contexts() -> None:
    bulk_insert.write_users(crowd(50, NOW))
    keys = [str(user.id) for user in crowd(50, NOW)]
    found = contexts_for(keys)
    assert all("user" in context.segments or context.segments for context in found.values())
    assert {context.context.get("kind") for context in found.values()} == {"user"}


@pytest.mark.django_db(transaction=True)
def test_existing_users_stay_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_insert, "BATCH", 40)
    steps: list[int] = []
    assert bulk_insert.write_users(crowd(100, NOW), steps.append) == 100
    assert steps == [40, 40, 20]
    first, second = list(crowd(2, NOW))
    User.objects.filter(pk=first.id).update(name="Edited")
    # Another account has taken an address of the crowd meanwhile.
    User.objects.filter(pk=second.id).delete()
    User.objects.create_user(second.email, name="Somebody else")
    assert bulk_insert.write_users(crowd(150, NOW)) == 50
    assert User.objects.get(pk=first.id).name == "Edited"
    assert User.objects.get(email=second.email).name == "Somebody else"
    assert User.objects.count() == 150


@pytest.mark.django_db
def test_it_works_within_a_transaction() -> None:
    with transaction.atomic():
        assert bulk_insert.write_users(crowd(10, NOW)) == 10
        assert bulk_insert.write_users(crowd(12, NOW)) == 2
