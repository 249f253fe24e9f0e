"""Several scheduled changes of one instant, and what became of whom and what they name."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from featureflags.editing import (
    Examination,
    change_to,
    deletion_of,
    examine,
    examine_plan,
    make_plan,
    membership_change,
)
from featureflags.editing.due_plans import Made, make_due
from featureflags.models import (
    PlannedChange,
    Segment,
    SegmentMember,
    Webhook,
    WebhookDelivery,
)
from featureflags.models.changesets import MemberState
from tests.conftest import FlagFile
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION, organizations_declared
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.editing.changing import INCLUDED, PRO, TEAM
from users.models import User

pytestmark = pytest.mark.django_db
State = PlannedChange.State


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> None:
    flag_file()


@pytest.fixture
def segment() -> Segment:
    return SegmentFactory.create(key="beta", name="Beta", rules=PRO)


def changed(key: str = "beta", **fields: Any) -> Examination:
    wanted = Segment.objects.get(key=key)
    for name, value in fields.items():
        setattr(wanted, name, value)
    return examine(change_to(wanted))


def scheduled(examined: Examination, author: User | None = None) -> PlannedChange:
    due_at = timezone.now() + datetime.timedelta(days=1)
    return make_plan(examined, author=author, source="admin", due_at=due_at)


def come() -> None:
    """As if the one instant of all of them had come."""
    now = timezone.now()
    PlannedChange.objects.update(due_at=now, next_attempt_at=now)


def outcomes() -> list[str]:
    return list(PlannedChange.objects.order_by("pk").values_list("state", flat=True))


def test_of_two_that_change_the_same_the_first_is_made(segment: Segment) -> None:
    Webhook.objects.create(name="all", url="https://example.com/")
    for rules in (TEAM, []):
        scheduled(changed(rules=rules))
    come()
    assert make_due() == Made(applied=1, refused=1)
    assert outcomes() == [State.APPLIED, State.REFUSED]
    assert Segment.objects.get(key="beta").rules == TEAM
    delivery = WebhookDelivery.objects.get(event="change.refused")
    assert '"reason": "conflict"' in delivery.body or '"reason":"conflict"' in delivery.body


def test_two_that_change_different_fields_are_both_made(segment: Segment) -> None:
    scheduled(changed(rules=TEAM))
    scheduled(changed(name="Teams"))
    come()
    assert make_due() == Made(applied=2)
    stored = Segment.objects.get(key="beta")
    assert (stored.rules, stored.name) == (TEAM, "Teams")


def test_a_change_after_a_deletion_is_refused(segment: Segment) -> None:
    scheduled(examine(deletion_of(segment)))
    late = scheduled(changed(rules=TEAM))
    come()
    assert make_due() == Made(applied=1, refused=1)
    late.refresh_from_db()
    assert late.problem == "The segment was deleted in the meantime."
    assert not Segment.objects.filter(key="beta").exists()


def test_one_of_a_segment_that_is_created_at_the_same_instant(segment: Segment) -> None:
    """A segment cannot name one that is not there yet: it is scheduled after it, and made after it."""
    made = examine(change_to(Segment(key="new", name="New", rules=TEAM)))
    scheduled(made)
    names = [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["new"]}]}]
    scheduled(changed(rules=names))
    come()
    assert make_due() == Made(applied=2)


def test_one_that_fails_is_tried_again_and_the_others_are_made(
    segment: Segment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    SegmentFactory.create(key="other", rules=PRO)
    plan, _ = scheduled(changed(rules=TEAM)), scheduled(changed("other", rules=TEAM))

    def fail(of: PlannedChange, **options: Any) -> Any:
        if of.pk == plan.pk:
            raise RuntimeError("odd")
        return examine_plan(of, **options)

    monkeypatch.setattr("featureflags.editing.due_plans.examine_plan", fail)
    come()
    assert make_due() == Made(applied=1, failed=1)
    assert f"The planned change {plan.pk} " in caplog.text
    monkeypatch.undo()
    PlannedChange.objects.filter(pk=plan.pk).update(next_attempt_at=timezone.now())
    assert make_due() == Made(applied=1)


def test_a_member_begins_at_an_instant_of_their_own(segment: Segment) -> None:
    """Scheduled for tomorrow, to begin the day after."""
    user = UserFactory.create()
    begins = timezone.now() + datetime.timedelta(days=2)
    wanted = MemberState(kind="include", reason="", starts_at=begins, expires_at=None)
    scheduled(examine(membership_change(segment, {str(user.pk): wanted})))
    come()
    assert make_due() == Made(applied=1)
    assert SegmentMember.objects.get().starts_at == begins
    assert list(User.objects.in_segment("beta")) == []


def test_a_kind_that_no_app_declares_any_more(db: None) -> None:
    """Nothing fails, and the other changes are made."""
    large = [rule(clause("seats", "greaterThan", 50))]
    with organizations_declared():
        acme = Company.objects.create(name="Acme")
        stored = SegmentFactory.create(key="large", kind=ORGANIZATION, rules=[])
        scheduled(changed("large", rules=large))
        scheduled(examine(membership_change(stored, {str(acme.pk): INCLUDED})))
    SegmentFactory.create(key="beta", rules=PRO)
    scheduled(changed(rules=TEAM))
    come()
    assert make_due() == Made(applied=1, refused=2)
    assert outcomes() == [State.REFUSED, State.REFUSED, State.APPLIED]
