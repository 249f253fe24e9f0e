"""Before and after, and the counts of a flag, of users with the organization that they belong to."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce

from featureflags.editing import FlagEffects, change_to, examine, flag_effects
from featureflags.evaluation import looking, variation
from featureflags.inspection.outcomes import outcomes
from featureflags.inspection.variation_counts import count_sample
from featureflags.kinds import Related, registry
from featureflags.kinds.belonging import kinds_below, rows_below
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.customers.declarations import CustomerKind, OrganizationKind
from tests.customers.models import Company, Customer, Profile
from tests.factories import SegmentFactory
from tests.factories import clause as condition
from tests.factories import rule as conditions
from tests.featureflags.kinds.conftest import declared
from tests.services.flag_json import boolean_flag, clause, rollout, rule

pytestmark = pytest.mark.django_db(transaction=True)

IN_SEGMENT = clause("segments", "in", "paying")
OF_LARGE = {**clause("seats", "greaterThan", 50), "contextKind": "organization"}
OF_ORGANIZATIONS = {**rollout(50_000, 50_000), "contextKind": "organization"}


@pytest.fixture
def paying(watched_organizations: CompiledKind, flag_file: FlagFile) -> Segment:
    """Ten companies of 10 to 100 seats with two customers each, and two customers without one."""
    for number in range(10):
        company = Company.objects.create(name=f"Company {number}", seats=10 * (number + 1))
        for each in range(2):
            customer = Customer.objects.create(username=f"c{number}-{each}")
            Profile.objects.create(customer=customer, company=company, plan="pro")
    for number in range(2):
        customer = Customer.objects.create(username=f"alone{number}")
        Profile.objects.create(customer=customer, plan="pro")
    half = {**rule(IN_SEGMENT), "rollout": OF_ORGANIZATIONS}
    del half["variation"]
    flag_file(
        boolean_flag("large", rules=[rule(IN_SEGMENT, OF_LARGE)]),
        boolean_flag("half", rules=[half]),
    )
    segment: Segment = SegmentFactory.create(
        key="paying", rules=[conditions(condition("plan", "in", "none"))]
    )
    return segment


def test_before_and_after_are_those_of_the_sdk(paying: Segment) -> None:
    def values(flag: str) -> dict[str, object]:
        with looking():
            return {one.username: variation(flag, one) for one in Customer.objects.all()}

    before = {flag: values(flag) for flag in ("large", "half")}
    paying.rules = [conditions(condition("plan", "in", "pro"))]
    found = flag_effects(examine(change_to(paying)))
    assert found is not None
    said = {each.flag: sum(change.count for change in each.changes) for each in found.flags}
    paying.save()
    moved = {
        flag: sum(old != values(flag)[name] for name, old in before[flag].items())
        for flag in before
    }
    assert said == moved
    # Companies of more than 50 seats; and those that the percentage takes, two customers each.
    assert moved["large"] == 10
    assert 0 < moved["half"] < 20


def test_the_count_of_a_flag_knows_them(paying: Segment) -> None:
    paying.rules = [conditions(condition("plan", "in", "pro"))]
    paying.save()
    count = count_sample("large")
    assert {one.value: one.users for one in outcomes(count.tally)} == {True: 10, False: 12}


OF_BIG = {**clause("segments", "in", "big"), "contextKind": "organization"}
BIG = [conditions(condition("seats", "greaterThan", 50))]
BIGGER = [conditions(condition("seats", "greaterThan", 80))]


@pytest.fixture
def big(paying: Segment, flag_file: FlagFile) -> Segment:
    """A segment of companies, and flags that companies get, and users with their company."""
    Customer.objects.filter(username__endswith="-1").update(is_staff=True)
    flag_file(
        boolean_flag("company", rules=[rule(OF_BIG)]),
        boolean_flag("staff", rules=[rule(OF_BIG, clause("is_staff", "in", True))]),
    )
    segment: Segment = SegmentFactory.create(key="big", kind="organization", rules=BIGGER)
    return segment


def in_numbers(found: FlagEffects) -> dict[str, list[tuple[str, str, int]]]:
    return {
        each.flag: [
            (one.before.strip(MARKS), one.after.strip(MARKS), one.count) for one in each.changes
        ]
        for each in found.flags
    }


MARKS = "\u2068\u2069"


def test_where_companies_move_their_customers_are_asked_about_too(big: Segment) -> None:
    """A flag is served to a customer with their company: what its rules say of both decides."""

    def values(flag: str) -> dict[str, object]:
        with looking():
            return {one.username: variation(flag, one) for one in Customer.objects.all()}

    before = {flag: values(flag) for flag in ("company", "staff")}
    big.rules = BIG
    found = flag_effects(examine(change_to(big)), sees=["user"])
    assert found is not None
    assert (found.kind, found.asked, found.is_all) == ("organization", 3, True)
    assert in_numbers(found) == {"company": [("false", "true", 3)], "staff": []}
    [below] = found.belonging
    assert (below.kind, below.asked, below.is_all) == ("user", 6, True)
    assert in_numbers(below) == {
        "company": [("false", "true", 6)],
        "staff": [("false", "true", 3)],
    }
    assert below.words == (
        "All 6 customers that belong to these companies were asked about, together with them."
    )
    assert "staff (customers): false → true: 3" in [
        line.replace("\u2068", "").replace("\u2069", "") for line in found.lines
    ]
    # Examples only of the kinds that the reader may see.
    assert not any(one.people for each in found.flags for one in each.changes)
    [of_staff] = [each for each in below.flags if each.flag == "staff"]
    titles = {person.title for person in of_staff.changes[0].people}
    assert titles == {f"c{number}-1" for number in (5, 6, 7)}
    said = {each.flag: sum(one.count for one in each.changes) for each in below.flags}
    big.save()
    moved = {
        flag: sum(old != values(flag)[name] for name, old in before[flag].items())
        for flag in before
    }
    assert said == moved


def test_of_many_customers_a_sample_is_asked_about(
    big: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("before_and_after", "moving_rows"):
        monkeypatch.setattr(f"featureflags.editing.{module}.MOST_ROWS", 4)
    big.rules = BIG
    found = flag_effects(examine(change_to(big)))
    assert found is not None
    assert (found.asked, found.is_all) == (3, True)
    [below] = found.belonging
    assert (below.asked, below.is_all) == (4, False)
    assert below.words == (
        "A sample of the customers that belong to these companies was asked about, together with them: 4."
        " The numbers are of the sample."
    )
    dumped: Any = found.to_dict()
    assert [(each["kind"], each["all"]) for each in dumped["belonging"]] == [("user", False)]


def test_a_kind_that_names_another_by_an_expression(paying: Segment) -> None:
    """The way back has no column then, and asks the expression."""
    by_expression = Coalesce(
        Subquery(
            Profile.objects.filter(customer=OuterRef("pk")).values("company")[:1],
            output_field=IntegerField(),
        ),
        None,
        output_field=IntegerField(),
    )

    class ByExpression(CustomerKind):
        organization = Related(by_expression, kind="organization")

    with declared(ByExpression, OrganizationKind) as users:
        companies = registry.kind_or_user("organization")
        assert kinds_below(companies) == [(companies, users)]
        company = Company.objects.get(name="Company 3")
        found = rows_below(users, companies, [str(company.pk)])
        assert sorted(one.username for one in found) == ["c3-0", "c3-1"]
        assert list(rows_below(users, companies, ["not a key"])) == []
