"""Ranges: their boundaries come from the keys, and everybody lies in exactly one of them."""

from __future__ import annotations

import random
import uuid
from itertools import chain

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from featureflags.warming.ranges import plan, within
from featureflags.warming.scope import users_seen_since
from tests.featureflags.warming.people import crowd
from users.models import User

pytestmark = pytest.mark.django_db


def everybody() -> QuerySet[User]:
    return users_seen_since(None)


def create(numbers: list[int]) -> None:
    User.objects.bulk_create(
        User(id=uuid.UUID(int=number), email=f"{number}@example.com") for number in numbers
    )


@pytest.mark.parametrize("shape", ["random", "by time", "few"])
def test_everybody_is_in_one_range(shape: str) -> None:
    chance = random.Random(shape)
    create(
        {
            "random": [0, 2**128 - 1, *(chance.getrandbits(128) for _ in range(95))],
            # As UUIDs of version 7 are: all begin alike.
            "by time": [(0x019A << 112) + (number << 64) + 7 for number in range(97)],
            "few": [5],
        }[shape]
    )
    bounds = list(plan(everybody(), 10))
    found = [
        [user.pk for user in within(everybody(), each.first, each.until).order_by("pk")]
        for each in bounds
    ]
    assert [len(keys) for keys in found] == [each.users for each in bounds]
    assert list(chain.from_iterable(found)) == list(
        User.objects.order_by("pk").values_list("pk", flat=True)
    )
    assert {each.users for each in bounds[:-1]} <= {10}
    assert (bounds[0].first, bounds[-1].until) == ("", "")


@pytest.mark.parametrize(
    ("users", "sizes"), [(0, []), (10, [10]), (20, [10, 10]), (21, [10, 10, 1])]
)
def test_no_range_is_empty(users: int, sizes: list[int]) -> None:
    crowd(users)
    assert [each.users for each in plan(everybody(), 10)] == sizes


def test_a_range_costs_one_query_along_the_index_of_the_key() -> None:
    crowd(50)
    with CaptureQueriesContext(connection) as captured:
        list(plan(everybody(), 10))
    assert len(captured) == 6
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        # So small a table is best read whole.
        for other in ("seqscan", "bitmapscan", "sort") if postgresql else ():
            cursor.execute(f"SET LOCAL enable_{other} = off")
        for query in list(captured)[:-1]:
            cursor.execute(f"EXPLAIN {'' if postgresql else 'QUERY PLAN '}{query['sql']}")
            answer = str(cursor.fetchall())
            assert "users_user_pkey" in answer or "sqlite_autoindex_users_user_1" in answer
            assert "Sort" not in answer
            assert "TEMP B-TREE" not in answer
