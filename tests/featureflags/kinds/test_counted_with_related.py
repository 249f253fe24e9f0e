"""Before and after, and the counts of a flag, of users with the organization that they belong to."""

from __future__ import annotations

import pytest

from featureflags.editing import change_to, examine, flag_effects
from featureflags.evaluation import looking, variation
from featureflags.inspection.outcomes import outcomes
from featureflags.inspection.variation_counts import count_sample
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.customers.models import Company, Customer, Profile
from tests.factories import SegmentFactory
from tests.factories import clause as condition
from tests.factories import rule as conditions
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
