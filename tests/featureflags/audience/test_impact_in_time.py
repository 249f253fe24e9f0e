"""The time limit of a count: lower bounds, statements that are cut off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Func, TextField, Value

from featureflags.audience.impact import SAMPLES
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.models import Segment
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.audience.impacts import LONG, LONG_NAMES, PAYING, ask, numbers
from users.models import User


@pytest.mark.django_db
@pytest.mark.parametrize("rules", [[PAYING], [PAYING, LONG_NAMES]], ids=["sql", "python"])
@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.002, 0.01, 0.05, LONG])
def test_when_time_is_up_each_number_is_a_lower_bound(
    rules: list[dict[str, Any]], seconds: float
) -> None:
    User.objects.bulk_create(
        User(email=f"{n}@example.com", name="Charles", metadata={"plan": "pro"})
        for n in range(2_500)
    )
    SegmentFactory.create(key="s", rules=[rule(clause("email", "startsWith", "1", "2"))])
    truth = ask("s", *rules)
    impact = ask("s", *rules, seconds=seconds)
    assert truth.is_exact
    assert numbers(truth) == (2_500, 2_500 - 1_111 - 611, 0)
    assert all(least <= true for least, true in zip(numbers(impact), numbers(truth), strict=True))
    if impact.is_exact:
        assert numbers(impact) == numbers(truth)
    else:
        assert impact.share is None
    assert impact.is_exact or seconds < LONG
    assert seconds > 0 or not impact.is_exact


@pytest.mark.django_db
def test_a_count_that_is_cut_off_still_finds_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many users to pass the late ones by, the samples are counted."""
    User.objects.bulk_create(
        User(email=f"{n}@example.com", metadata={"plan": "pro"}) for n in range(1_200)
    )

    def too_many(*_args: object, **_options: object) -> list[int]:
        raise TimeIsUp

    monkeypatch.setattr("featureflags.audience.impact.count_combinations", too_many)
    impact = ask("s", PAYING)
    assert (numbers(impact), impact.is_exact) == ((1_000, 1_000, 0), False)
    assert len(impact.entering.samples) == SAMPLES


def forever() -> None:
    """A statement that does not end."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT PG_SLEEP(300)")
        else:
            cursor.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                " SELECT COUNT(*) FROM n"
            )


def statement_timeout() -> str:
    if connection.vendor != "postgresql":
        return "none"
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("inside_a_transaction", [False, True])
def test_a_statement_is_cut_off_and_the_connection_goes_on(inside_a_transaction: bool) -> None:
    before = statement_timeout()

    def cut_off() -> None:
        with pytest.raises(TimeIsUp), TimeLimit("default", 0.05).statements():
            forever()

    def in_time() -> None:
        with TimeLimit("default", LONG).statements():
            assert User.objects.count() == 0

    def both() -> None:
        cut_off()
        in_time()
        assert statement_timeout() == before
        SegmentFactory.create(key="written-afterwards")

    asked: Callable[[], None] = transaction.atomic(both) if inside_a_transaction else both
    asked()
    assert Segment.objects.filter(key="written-afterwards").exists()


@pytest.mark.django_db
def test_other_errors_of_the_database_are_not_taken_for_the_time() -> None:
    with pytest.raises(Exception, match="no_such_table"), TimeLimit("default", LONG).statements():
        connection.cursor().execute("SELECT * FROM no_such_table")


@pytest.mark.django_db
def test_the_clock_is_read_for_each_user() -> None:
    """Each row takes 20 ms, so that not all of them are looked at in time."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("PG_SLEEP", 1, time.sleep)
    User.objects.bulk_create(User(email=f"{n}@example.com") for n in range(20))
    slow = Func(Value(0.02), function="PG_SLEEP", output_field=TextField())

    def seen(seconds: float, share: float) -> int:
        in_time = TimeLimit("default", seconds).in_time(share)
        return len(User.objects.order_by().filter(in_time).annotate(slow=slow).values_list("slow"))

    assert seen(0.2, 0.5) < 20
    assert seen(0.0, 1.0) == 0
    assert seen(LONG, 0.5) == 20
