"""What a change of a segment would do: equal to Python user by user, and true when time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Func, TextField, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from featureflags.audience.impact import (
    SAMPLES,
    Impact,
    Part,
    impact_of,
    impact_on,
    unsaved_segment,
)
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.contexts.attributes import attributes_of
from featureflags.models import Segment, SegmentMember
from featureflags.segments.definitions import InvalidDefinition, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.audience.sql.people import NOW, create_people
from tests.featureflags.audience.sql.strategies import FAMILIES, segment_matches, segments
from tests.featureflags.segments.proof import EXAMPLES, PROOF
from users.models import User
from users.selectors import snapshots

LONG = 600.0
"""Seconds that no test needs: the count is whole."""

PRO = rule(clause("custom_plan", "in", "pro"))
PAYING = rule(clause("custom_plan", "in", "pro", "team"))
LONG_NAMES = rule(clause("name", "matches", "^.{5,}$"))
"""What SQL cannot say."""


def numbers(impact: Impact) -> tuple[int, int, int]:
    return impact.matching.at_least, impact.entering.at_least, impact.leaving.at_least


def sampled(part: Part) -> list[str]:
    return sorted(user.email for user in part.samples)


def ask(key: str, *rules: dict[str, Any], **options: Any) -> Impact:
    is_active = options.pop("is_active", True)
    definition = unsaved_segment(key, list(rules), is_active=is_active)
    return impact_of(definition, **{"seconds": LONG, **options})


@pytest.fixture
def five(db: None) -> None:
    UserFactory.create(email="a@agpt.co", name="Ann", metadata={"plan": "pro"})
    UserFactory.create(email="b@agpt.co", name="Barbara", metadata={"plan": "free"})
    UserFactory.create(email="c@example.com", name="Charles", metadata={"plan": "team"})
    UserFactory.create(email="d@example.com", name="", metadata={})
    UserFactory.create(email="e@example.com", name="Eve", metadata={"plan": "pro"})


def test_all_matching_users_enter_a_new_segment(five: None) -> None:
    impact = ask("paying", PAYING)
    assert numbers(impact) == (3, 3, 0)
    assert (impact.users.at_least, impact.is_exact, impact.share) == (5, True, 0.6)
    assert sampled(impact.matching) == ["a@agpt.co", "c@example.com", "e@example.com"]
    assert impact.matching.samples == impact.entering.samples
    assert impact.leaving.samples == ()
    [ann] = [user for user in impact.matching.samples if user.name == "Ann"]
    assert ann.key == str(User.objects.get(name="Ann").pk)


def test_a_change_is_compared_with_what_is_saved(five: None) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    impact = ask("s", rule(clause("custom_plan", "in", "team", "free")))
    assert numbers(impact) == (2, 2, 2)
    assert sampled(impact.entering) == ["b@agpt.co", "c@example.com"]
    assert sampled(impact.leaving) == ["a@agpt.co", "e@example.com"]
    assert impact.moved.count == 4
    assert numbers(ask("s", PRO)) == (2, 0, 0)
    assert sampled(ask("s", PRO).matching) == ["a@agpt.co", "e@example.com"]


def test_members_count_and_an_inactive_segment_has_none(five: None) -> None:
    segment = SegmentFactory.create(key="s", rules=[PRO])
    dan = User.objects.get(email="d@example.com")
    ann = User.objects.get(email="a@agpt.co")
    SegmentMemberFactory.create(segment=segment, user=dan)
    SegmentMemberFactory.create(segment=segment, user=ann, kind=SegmentMember.Kind.EXCLUDE)
    assert numbers(ask("s", PAYING)) == (3, 1, 0)
    off = ask("s", PAYING, is_active=False)
    assert numbers(off) == (0, 0, 2)
    assert sampled(off.leaving) == ["d@example.com", "e@example.com"]
    Segment.objects.get(key="s").delete()
    segment = SegmentFactory.create(key="s", rules=[PRO], is_active=False)
    SegmentMemberFactory.create(segment=segment, user=dan)
    assert numbers(ask("s", PRO)) == (3, 3, 0)
    assert numbers(impact_of(SegmentDefinition(key="s"), seconds=LONG)) == (0, 0, 0)


def test_rules_may_name_other_segments(five: None) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    impact = ask("s", rule(clause("", "segmentMatch", "employee", negate=True)))
    assert numbers(impact) == (3, 2, 1)
    assert sampled(impact.leaving) == ["a@agpt.co"]


def test_users_for_whom_sql_cannot_decide_are_judged_in_python(five: None) -> None:
    impact = ask("s", LONG_NAMES)
    assert (numbers(impact), impact.is_exact) == ((2, 2, 0), True)
    assert sampled(impact.entering) == ["b@agpt.co", "c@example.com"]
    SegmentFactory.create(key="s", rules=[LONG_NAMES])
    impact = ask("s", LONG_NAMES, rule(clause("email", "in", "d@example.com", "b@agpt.co")))
    assert numbers(impact) == (3, 1, 0)
    assert sampled(impact.matching) == ["b@agpt.co", "c@example.com", "d@example.com"]
    assert sampled(impact.entering) == ["d@example.com"]
    assert sampled(ask("s", PRO).leaving) == ["b@agpt.co", "c@example.com"]


def test_named_users_are_judged_by_themselves(five: None) -> None:
    """As for a change of memberships, which moves nobody else."""
    SegmentFactory.create(key="paying", rules=[PRO])
    by_email = {user.email[0]: str(user.pk) for user in User.objects.all()}
    after = SegmentDefinition(
        key="paying",
        rules=unsaved_segment("paying", [PRO]).rules,
        included={by_email["a"]: None, by_email["b"]: None},
        excluded={by_email["e"]: None},
    )
    named = [by_email[name] for name in "abde"]
    impact = impact_on(after, [*named, *named, "nobody"])
    assert (impact.users.at_least, impact.is_exact) == (4, True)
    assert numbers(impact) == (2, 1, 1)
    assert (sampled(impact.entering), sampled(impact.leaving)) == (
        ["b@agpt.co"],
        ["e@example.com"],
    )
    assert impact_on(after, [by_email["c"]]).moved.count == 0


def test_only_a_few_users_are_shown(db: None) -> None:
    for _ in range(SAMPLES + 2):
        UserFactory.create(name="Charles")
    for rules in ([LONG_NAMES], [rule(clause("name", "in", "Charles"))]):
        impact = ask("s", *rules)
        assert impact.matching.at_least == SAMPLES + 2
        assert len(set(impact.matching.samples)) == SAMPLES


def test_nobody_at_all(db: None) -> None:
    impact = ask("s", PAYING)
    assert (numbers(impact), impact.share) == ((0, 0, 0), 0.0)


def test_invalid_rules_are_refused(db: None) -> None:
    with pytest.raises(InvalidDefinition, match="Rule 1: add at least one condition"):
        unsaved_segment("s", [{"clauses": []}])


@pytest.mark.django_db
def test_the_numbers_are_those_of_python_user_by_user() -> None:
    create_people()
    people = {user.key: attributes_of(user, NOW) for user in snapshots(User.objects.all())}
    plain = st.one_of(*(family.clauses() for family in FAMILIES.values()))
    any_clause = st.one_of(plain, plain, segment_matches("other"))
    moved = 0

    @settings(PROOF, max_examples=EXAMPLES // 10)
    @given(segments("s", any_clause), segments("s", any_clause), segments("other", plain))
    def prove(
        saved: SegmentDefinition, changed: SegmentDefinition, other: SegmentDefinition
    ) -> None:
        nonlocal moved
        before, after = Ruleset([saved, other]), Ruleset([changed, other])
        was_in, is_in = (
            {key for key, found in people.items() if rules.matches("s", found, now=NOW)}
            for rules in (before, after)
        )
        impact = impact_of(changed, before=before, now=NOW, seconds=LONG)
        assert impact.is_exact
        assert impact.users.at_least == len(people)
        parts = (impact.matching, impact.entering, impact.leaving)
        for part, expected in zip(parts, (is_in, is_in - was_in, was_in - is_in), strict=True):
            assert part.at_least == len(expected)
            assert len(part.samples) == min(SAMPLES, len(expected))
            assert {user.key for user in part.samples} <= expected
        moved += bool(is_in - was_in) and bool(was_in - is_in)

    prove()
    assert moved >= EXAMPLES // 200


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

    def too_many(*_args: object) -> list[int]:
        raise TimeIsUp

    monkeypatch.setattr("featureflags.audience.impact.count_in_one_pass", too_many)
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
