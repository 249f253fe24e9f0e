"""The sample of a day: random, the same until tomorrow, and whole for each type of key."""

from __future__ import annotations

import datetime
import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from featureflags.audience import day_sample as module
from featureflags.audience.day_sample import MIDDLE, SMALL, DaySample, day_sample, draw
from featureflags.audience.sql.statement_timeout import TimeIsUp
from featureflags.audience.stored_sizes import count_everything
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import user_kind
from tests.customers.models import Company
from tests.emptying import empty_caches
from tests.factories import UserFactory
from users.models import User

pytestmark = pytest.mark.django_db
PARTS = (SMALL, MIDDLE, 2)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIZES", (3, 5, 12))


@pytest.fixture(autouse=True)
def by_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where keys are not random, but for tests of those that are."""
    if "random_keys" not in request.fixturenames:
        monkeypatch.setattr(module, "_are_random", lambda _keys: False)


@pytest.fixture
def random_keys() -> None:
    """The keys of users are: UUIDs of version 4."""


def keys(sample: DaySample) -> list[set[str]]:
    return [set(sample.kind.keys(sample.rows(part))) for part in PARTS]


def test_three_parts_that_share_nobody() -> None:
    UserFactory.create_batch(60)
    sample = draw(user_kind())
    assert (sample.total, sample.is_everybody) == (60, False)
    assert [len(found) for found in keys(sample)] == [3, 5, 12]
    assert len(set.union(*keys(sample))) == 20


def test_it_is_the_same_all_day_and_another_tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    UserFactory.create_batch(60)
    today = timezone.localdate()
    first = keys(draw(user_kind()))
    assert keys(draw(user_kind())) == first
    with CaptureQueriesContext(connection) as captured:
        read = day_sample(user_kind())
    assert len(captured) == 0
    assert read is not None
    assert keys(read) == first
    tomorrow = today + datetime.timedelta(days=1)
    monkeypatch.setattr(timezone, "localdate", lambda: tomorrow)
    assert keys(draw(user_kind())) != first


def test_new_rows_have_the_same_chance_and_deleted_ones_are_left_out() -> None:
    UserFactory.create_batch(40)
    before = set.union(*keys(draw(user_kind())))
    UserFactory.create_batch(40)
    after = set.union(*keys(draw(user_kind())))
    # Those that stay are the ones with the smallest hashes.
    assert 0 < len(before & after) < 20
    User.objects.filter(pk__in=list(after)[:5]).delete()
    sample = day_sample(user_kind())
    assert sample is not None
    assert set.union(*keys(sample)) == after - set(list(after)[:5])


def test_each_row_has_the_same_chance_whatever_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 rows in the order of time, some 10 % of each quarter over many days."""
    monkeypatch.setattr(module, "SIZES", (20, 0, 0))
    User.objects.bulk_create(User(email=f"{n:03}@example.com") for n in range(200))
    places = {
        str(pk): n
        for n, pk in enumerate(User.objects.order_by("email").values_list("pk", flat=True))
    }
    found = [0, 0, 0, 0]
    for day in range(50):
        sample = draw(user_kind(), day=str(day))
        for key in user_kind().keys(sample.rows(SMALL)):
            found[places[key] // 50] += 1
    assert sum(found) == 50 * 20
    assert all(0.2 < number / sum(found) < 0.3 for number in found), found


@pytest.mark.usefixtures("random_keys")
def test_of_random_keys_the_parts_are_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of rows that are newer than the sample. No two parts share a row."""
    monkeypatch.setattr(module, "SIZES", (3, 20, 1))
    # Evenly spread, which a test of chance may be refused.
    keys_of = [uuid.UUID(int=n * (module.KEYS // 400), version=4) for n in range(400)]
    User.objects.bulk_create(
        User(pk=key, email=f"{n}@example.com") for n, key in enumerate(keys_of[::2])
    )
    sample = draw(user_kind())
    assert (sample.total, sample.is_random, len(sample.parts)) == (200, True, 9)
    assert day_sample(user_kind()) == sample
    few, *parts = [user_kind().keys(sample.rows(part)) for part in sample.parts]
    assert len(few) == 3
    assert all(19 <= len(part) <= 21 for part in parts)
    assert len({key for part in parts for key in part}) == sum(map(len, parts))
    assert [key for part in parts for key in part] == sorted(key for part in parts for key in part)
    User.objects.bulk_create(
        User(pk=key, email=f"new{n}@example.com") for n, key in enumerate(keys_of[1::2])
    )
    assert all(38 <= sample.rows(part).count() <= 42 for part in sample.parts[1:])
    assert draw(user_kind(), day="another").rows(MIDDLE).first() != sample.rows(MIDDLE).first()


EVEN = [str(uuid.UUID(int=n * 2**118, version=4)) for n in range(1024)]


@pytest.mark.usefixtures("random_keys")
@pytest.mark.parametrize(
    ("keys", "are"),
    [
        (EVEN, True),
        ([], False),
        ([*EVEN, str(uuid.UUID(int=2**127, version=1))], False),
        ([str(uuid.UUID(int=n * 2**96, version=4)) for n in range(1024)], False),
        (EVEN[:512], False),
        ([*EVEN, *(f"00000000-0000-4000-8000-{n:012}" for n in range(20))], False),
    ],
    ids=[
        *("even", "nobody", "one follows the time", "counted up", "half of the room is empty"),
        "an import counted up",
    ],
)
def test_whether_keys_are_random(keys: list[str], are: bool) -> None:
    assert module._are_random([json.dumps(key) for key in keys]) is are


def test_integer_keys(organizations: CompiledKind) -> None:
    Company.objects.bulk_create(Company(name=f"c{n}") for n in range(60))
    sample = draw(organizations)
    assert [len(found) for found in keys(sample)] == [3, 5, 12]


def test_the_hourly_count_draws_it_and_a_small_table_when_asked(
    organizations: CompiledKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    UserFactory.create_batch(4)
    asked = day_sample(user_kind())
    assert asked is not None
    assert (asked.total, asked.is_everybody) == (4, True)
    UserFactory.create()
    count_everything()
    renewed = day_sample(user_kind())
    assert renewed is not None
    assert renewed.total == 5
    assert day_sample(organizations) is not None
    empty_caches("default")

    def too_long(*_args: object, **_options: object) -> DaySample:
        raise TimeIsUp

    monkeypatch.setattr(module, "draw", too_long)
    assert day_sample(user_kind()) is None


def test_a_part_that_the_cache_has_lost_is_empty() -> None:
    UserFactory.create_batch(60)
    sample = draw(user_kind())
    empty_caches("default")
    assert keys(sample) == [set(), set(), set()]


def test_texts_are_quoted_for_postgresql() -> None:
    assert module._as_array('["a","b c",""]') == '{"a","b c",""}'
    assert module._as_array("[1,2]") == "{1,2}"
    assert module._as_array("[]") == "{}"
    hostile = ['a"b', "c\\d", "e,{f}", "é\n"]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT %s::text[]", [module._as_array(json.dumps(hostile))])
            assert cursor.fetchone()[0] == hostile
