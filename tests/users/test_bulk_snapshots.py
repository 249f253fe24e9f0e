"""Snapshots cast in SQL are exactly those of loaded users, however odd the rows are."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from featureflags.kinds.registry import user_kind
from tests.factories import UserFactory
from tests.featureflags.audience.sql.people import create_people
from tests.profiles import DEEP
from users.metadata import find_problem
from users.models import Role, User

EXAMPLES = 1000 if DEEP else 60

# What PostgreSQL's text cannot hold stays out.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30
) | st.sampled_from(["", "[]", "{}", '"', "\\", "é\u0301", "𝒳", "\x7f\x1f\t", "null", "a,b"])
INSTANTS = st.datetimes(timezones=st.just(datetime.UTC)) | st.sampled_from(
    [
        datetime.datetime.min.replace(tzinfo=datetime.UTC),
        datetime.datetime.max.replace(tzinfo=datetime.UTC),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC),
        datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2025, 1, 2, 3, 4, 5, 999_600, tzinfo=datetime.UTC),
        datetime.datetime(2025, 1, 2, 3, 4, 5, 100_000, tzinfo=datetime.UTC),
        datetime.datetime(2025, 1, 2, 3, 4, 5, 1, tzinfo=datetime.UTC),
    ]
)
NUMBERS = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -0.0, 1.0, 2**53 + 1, 2**63, 2**64, 10**23, 1e23, 5e-324, 10**300])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(TEXT, JSON, max_size=4).filter(lambda value: not find_problem(value))
ODD_JSON = ('{"x": 1e400}', '{"x": -0, "x": 1E5}', '{"x": "\\ud800"}', '{"x": [' + "9" * 400 + "]}")
"""What SQLite's text can hold, and PostgreSQL's jsonb never gives."""


def users() -> st.SearchStrategy[User]:
    return st.builds(
        User,
        id=st.uuids(allow_nil=True),
        email=st.uuids().map(lambda found: f"{found}@bücher.example"),
        email_verified=st.booleans(),
        name=TEXT,
        role=st.sampled_from(Role.values),
        is_staff=st.booleans(),
        is_active=st.booleans(),
        created_at=INSTANTS,
        last_seen_at=st.none() | INSTANTS,
        metadata=METADATA,
    )


def same(found: object, expected: object) -> bool:
    """Equal in type too: True is not 1, and 1 is not 1.0."""
    return found == expected and repr(found) == repr(expected)


@pytest.mark.django_db
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(users(), min_size=1, max_size=5, unique_by=lambda user: user.pk),
    names=st.lists(TEXT, max_size=4, unique=True),
    chance=st.randoms(use_true_random=False),
)
@example(
    made=[User(pk=uuid.UUID(int=0), email="nil@example.com")],
    names=["b", "B", "é", "a"],
    chance=random.Random(1),
)
def test_a_row_is_what_the_loaded_user_is(
    made: list[User], names: list[str], chance: random.Random
) -> None:
    with transaction.atomic():
        User.objects.bulk_create(made)
        groups = Group.objects.bulk_create(Group(name=name) for name in names)
        for user in made:
            user.groups.set([group for group in groups if chance.random() < 0.7])
        everybody = User.objects.order_by("pk")
        expected = [user_kind().snapshot_of(user) for user in everybody]
        found = user_kind().snapshots(everybody)
        transaction.set_rollback(True)
    assert same(found, expected)


@pytest.mark.django_db
def test_rows_that_the_orm_would_not_write_are_read_as_it_reads_them() -> None:
    create_people()
    if connection.vendor == "sqlite":
        rows = [(text, UserFactory.create().pk.hex) for text in ODD_JSON]
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE users_user SET metadata = %s WHERE id = %s", rows)
    expected = [user_kind().snapshot_of(user) for user in User.objects.order_by("pk")]
    assert same(user_kind().snapshots(User.objects.order_by("pk")), expected)


@pytest.mark.django_db
def test_values_are_in_the_order_of_the_snapshot_s_fields(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    user = UserFactory.create(metadata={"plan": "pro"}, last_seen_at=None)
    user.groups.add(Group.objects.create(name="writers"))
    with django_assert_num_queries(1):
        [values] = user_kind().values(User.objects.all())
    assert same(tuple(values), msgspec.structs.astuple(user_kind().snapshot_of(user)))


@pytest.mark.django_db
def test_django_converts_no_value() -> None:
    rows = User.objects.values_list(*user_kind().sql_columns)
    compiler = rows.query.get_compiler(connection.alias)
    compiler.setup_query()
    assert compiler.get_converters(column for column, *_ in compiler.select) == {}
