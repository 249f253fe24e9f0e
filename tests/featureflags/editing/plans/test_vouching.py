"""Who stands for a scheduled change may be gone when it is due: then it waits for an approval."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.editing import approve, attempt_now, examine_plan, make_due, make_plan
from featureflags.models import HistoryEntry, PlannedChange, Segment, Webhook, WebhookDelivery
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.editing.changing import PRO, TEAM, change
from tests.featureflags.editing.plans.deciding import decide
from users.models import User

pytestmark = pytest.mark.django_db
State = PlannedChange.State


def staff(*codenames: str) -> User:
    user = UserFactory.create(staff=True)
    group = Group.objects.create(name=" ".join(codenames))
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    user.groups.add(group)
    return user


@pytest.fixture
def author() -> User:
    return staff("change_segment", "view_segment")


@pytest.fixture
def approver() -> User:
    return staff("approve_plannedchange", "view_segment")


def scheduled(key: str, author: User) -> PlannedChange:
    segment = Segment.objects.filter(key=key).first() or SegmentFactory.create(key=key, rules=PRO)
    due_at = timezone.now() + datetime.timedelta(days=1)
    return make_plan(change(segment, rules=TEAM), author=author, source="admin", due_at=due_at)


def come_and_make(plan: PlannedChange) -> None:
    now = timezone.now()
    PlannedChange.objects.filter(pk=plan.pk).update(due_at=now, next_attempt_at=now)
    make_due()
    plan.refresh_from_db()


def rules(plan: PlannedChange) -> object:
    return Segment.objects.get(key=plan.segment_key).rules


GONE: dict[str, Callable[[User], object]] = {
    "deactivated": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "not of the staff": lambda user: User.objects.filter(pk=user.pk).update(is_staff=False),
    "without the permission": lambda user: user.groups.clear(),
    "deleted": lambda user: user.delete(),
}


@pytest.mark.parametrize("how", GONE)
def test_its_approver_is_gone(
    segment: Segment, author: User, approver: User, ben: User, how: str
) -> None:
    plan = scheduled("beta", author)
    approve(plan, examine_plan(plan), approver=approver)
    assert plan.state == State.SCHEDULED
    GONE[how](approver)
    come_and_make(plan)
    assert (plan.state, plan.approver, rules(plan)) == (State.PROPOSED, None, PRO)
    assert plan.problem
    decide(plan, ben)
    assert (plan.state, plan.problem, rules(plan)) == (State.APPLIED, "", TEAM)
    assert HistoryEntry.objects.latest("pk").approved_by == ben


@pytest.mark.parametrize("how", GONE)
def test_the_author_of_one_that_needed_no_approval_is_gone(
    author: User, ben: User, how: str
) -> None:
    Webhook.objects.create(name="all", url="https://example.com/")
    plan = scheduled("quiet", author)
    assert plan.state == State.SCHEDULED
    GONE[how](author)
    come_and_make(plan)
    assert (plan.state, rules(plan)) == (State.PROPOSED, PRO)
    assert "planned" in plan.problem
    assert WebhookDelivery.objects.latest("pk").event == "change.proposed"
    decide(plan, ben)
    assert (plan.state, rules(plan)) == (State.APPLIED, TEAM)


def test_the_approver_stands_for_it_without_its_author(
    segment: Segment, author: User, approver: User
) -> None:
    plan = scheduled("beta", author)
    approve(plan, examine_plan(plan), approver=approver)
    author.delete()
    come_and_make(plan)
    assert (plan.state, rules(plan)) == (State.APPLIED, TEAM)


def test_an_approver_who_is_gone_matters_only_where_an_approval_is_needed(
    segment: Segment, author: User, approver: User, settings: Settings
) -> None:
    plan = scheduled("beta", author)
    approve(plan, examine_plan(plan), approver=approver)
    approver.groups.clear()
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "APPROVE_LIVE_SEGMENTS": False}
    come_and_make(plan)
    assert (plan.state, rules(plan)) == (State.APPLIED, TEAM)


def test_the_person_who_makes_it_now_stands_for_it(author: User) -> None:
    plan = scheduled("quiet", author)
    author.groups.clear()
    plan = PlannedChange.objects.get(pk=plan.pk)
    attempt_now(plan)
    assert (plan.state, rules(plan)) == (State.APPLIED, TEAM)


def test_one_that_is_scheduled_alone_waits_when_both_accounts_are_deleted(
    segment: Segment, author: User, approver: User
) -> None:
    plan = scheduled("beta", author)
    approve(plan, examine_plan(plan), approver=approver)
    author.delete()
    approver.delete()
    plan.refresh_from_db()
    assert (plan.state, plan.needs_approval) == (State.PROPOSED, True)
