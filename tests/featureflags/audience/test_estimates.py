"""Previews of large tables: estimates that hold, and exact numbers where few rows match."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.audience import day_sample, estimates
from featureflags.audience.day_sample import draw
from featureflags.audience.estimates import preview_of
from featureflags.audience.intervals import Estimate
from featureflags.audience.parts import Impact, Part
from featureflags.audience.sql.statement_timeout import TimeIsUp
from featureflags.audience.unsaved import unsaved_segment
from featureflags.kinds.registry import user_kind
from tests.customers.models import Company
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.audience.impacts import LONG, numbers
from users.models import User

pytestmark = pytest.mark.django_db
PRO = rule(clause("custom_plan", "in", "pro"))
DOMAIN = rule(clause("email_domain", "in", "rare.example"))
USERS = 600


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 users, of whom a sample has 300; half of them pay, and one has a rare address."""
    monkeypatch.setattr(day_sample, "SIZES", (50, 100, 150))
    monkeypatch.setattr(day_sample, "_are_random", lambda _keys: False)
    # The one may be in so small a sample, and be one per cent of it.
    monkeypatch.setattr(estimates, "RARE", 0.05)
    # However busy the machine is.
    monkeypatch.setattr(estimates, "FIRST_SECONDS", LONG)
    monkeypatch.setattr(estimates, "CHANCE_SECONDS", LONG)
    User.objects.bulk_create(
        User(
            email=f"{n:03}@{'rare' if n == 77 else 'common'}.example",
            name=f"Ada {'x' * (n % 4)}",
            metadata={"plan": "pro" if n % 2 else "free"},
        )
        for n in range(USERS)
    )
    draw(user_kind())


def ask(*rules: dict[str, Any], **options: Any) -> Impact:
    return preview_of(unsaved_segment("s", list(rules)), **{"quick": True, **options})


def estimate(part: Part) -> Estimate:
    assert part.estimate is not None
    assert not part.is_exact
    return part.estimate


def test_many_are_estimated() -> None:
    SegmentFactory.create(key="s", rules=[rule(clause("email", "startsWith", "0", "1", "2"))])
    found = ask(PRO)
    assert (found.is_exact, found.users.at_least) == (False, USERS)
    for part, truth in ((found.matching, 300), (found.entering, 150), (found.leaving, 150)):
        about = estimate(part)
        assert about.low <= truth <= about.high
        assert about.low < about.about < about.high
        assert part.at_least <= truth
        assert len(part.samples) == 5
    assert found.share == estimate(found.matching).about / USERS


def test_a_better_sample_is_taken_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "QUICK_SECONDS", 60.0)
    large = estimate(ask(PRO).matching)
    monkeypatch.setattr(estimates, "QUICK_SECONDS", 0.0)
    small = estimate(ask(PRO).matching)
    assert large.high - large.low < small.high - small.low


def test_it_does_not_flicker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "QUICK_SECONDS", 60.0)
    assert ask(PRO).matching.estimate == ask(PRO).matching.estimate


def test_few_are_exact_at_once() -> None:
    SegmentFactory.create(key="s", rules=[rule(clause("email", "in", "078@common.example"))])
    found = ask(DOMAIN)
    assert (found.is_exact, numbers(found)) == (True, (1, 1, 1))
    assert found.users.at_least == USERS
    assert [user.title for user in found.entering.samples] == ["077@rare.example"]


def test_few_without_an_index_keep_a_wide_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "CHANCE_SECONDS", -1.0)
    about = estimate(ask(DOMAIN).matching)
    assert about.low <= 1 <= about.high
    assert about.high > 10


def test_what_sql_cannot_say_is_judged_in_a_small_sample() -> None:
    about = estimate(ask(rule(clause("name", "matches", "^Ada .{2,}$"))).matching)
    assert about.low <= 300 <= about.high
    assert about.high - about.low > 100


def test_a_count_that_is_cut_off_has_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(PRO, quick=False, seconds=0.0)
    about = estimate(found.matching)
    assert about.low <= 300 <= about.high
    assert found.users.at_least == USERS
    whole = ask(PRO, quick=False, seconds=LONG)
    assert (whole.is_exact, whole.matching) == (
        True,
        Part(at_least=300, is_exact=True, samples=whole.matching.samples),
    )
    # Few are exact even then.
    assert numbers(ask(DOMAIN, quick=False, seconds=0.0)) == (1, 1, 0)


def test_what_is_left_of_a_count_comes_from_all_of_the_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimates, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(estimates, "LEFT_SECONDS", LONG)
    first = estimate(ask(PRO).matching)
    left = estimate(ask(PRO, quick=False, seconds=0.0).matching)
    assert left.high - left.low < first.high - first.low
    assert left.low <= 300 <= left.high


def test_a_small_table_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_sample, "SIZES", (200, 200, 200))
    found = ask(PRO, seconds=LONG)
    assert (found.is_exact, numbers(found)) == (True, (300, 300, 0))


def test_without_a_sample_numbers_are_lower_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "day_sample", lambda _kind: None)
    found = ask(PRO, seconds=0.0)
    assert not found.is_exact
    assert found.matching.estimate is None


def test_a_sample_that_is_not_counted_to_its_end_estimates_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_long(*_args: object, **_options: object) -> object:
        raise TimeIsUp

    monkeypatch.setattr("featureflags.audience.impact.count_combinations", too_long)
    found = ask(PRO)
    assert (found.is_exact, found.matching.estimate) == (False, None)


def test_rows_of_another_kind(organizations: Any) -> None:
    Company.objects.bulk_create(Company(name=f"c{n}", seats=n) for n in range(USERS))
    draw(organizations)
    half = rule(clause("seats", "lessThan", 300))
    after = unsaved_segment("o", [half], kind="organization")
    about = estimate(preview_of(after, quick=True).matching)
    assert about.low <= 300 <= about.high
    assert about.about != 0
