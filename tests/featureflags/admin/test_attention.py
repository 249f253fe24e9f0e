"""What the first page of the admin says before its numbers."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.audience.stored_sizes import count_everything
from featureflags.editing import change_to, examine, make_plan, membership_change, withdraw
from featureflags.models import PlannedChange, SegmentSize, WarmRun
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.featureflags.admin.flags.pages import as_one_who_may
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")


def needs(client: Client) -> list[str]:
    response = client.get(INDEX)
    text = response.content.decode()
    begins = text.index('id="dashboard-attention"')
    assert begins < text.index('id="dashboard-answers"')
    section = text[begins : text.index("</section>", begins)]
    return [part.partition("<")[0] for part in section.split('">')[2:]] or ["Nothing."] * (
        "Nothing." in section
    )


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


def test_nothing(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    SegmentFactory.create(key="s")
    count_everything()
    assert needs(staff) == ["Nothing."]


def test_a_segment_that_a_flag_names_and_nobody_has_made(
    staff: Client, flag_file: FlagFile
) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("gone")]))
    assert needs(staff) == ["The flag beta names the segment gone, which does not exist."]
    reader = as_one_who_may(Client(), "view_user")
    assert needs(reader) == ["Nothing."]


def test_sizes_that_nothing_counts_any_more(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    SegmentFactory.create(key="s")
    count_everything()
    SegmentSize.objects.update(counted_at=timezone.now() - datetime.timedelta(hours=4))
    assert needs(staff) == ["The segments are not counted each hour any more."]


def test_a_change_that_waits_for_the_reader(client: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("beta")]))
    segment = SegmentFactory.create(key="beta", name="Beta")
    count_everything()
    segment.is_active = False
    author = UserFactory.create(superuser=True)
    plan = make_plan(examine(change_to(segment)), author=author, source="admin")
    asked = ["A change of beta waits for your approval."]
    may_approve = as_one_who_may(Client(), "view_segment", "approve_plannedchange")
    assert needs(may_approve) == asked
    assert (
        reverse("admin:featureflags_proposal", args=[plan.pk])
        in may_approve.get(INDEX).content.decode()
    )
    # Neither their own, nor for who may only look, nor once it is decided.
    client.force_login(author)
    assert needs(client) == ["Nothing."]
    assert needs(as_one_who_may(Client(), "view_segment")) == ["Nothing."]
    withdraw(plan)
    assert needs(may_approve) == ["Nothing."]


def test_a_change_that_cannot_be_made_any_more(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    segment = SegmentFactory.create(key="beta", name="Beta")
    kept = SegmentFactory.create(key="kept", name="Kept")
    count_everything()
    tomorrow = timezone.now() + datetime.timedelta(days=1)
    for each in (segment, kept):
        each.name = "Later"
        make_plan(examine(change_to(each)), author=None, source="admin", due_at=tomorrow)
    assert needs(staff) == ["Nothing."]
    for each in (segment, kept):
        each.refresh_from_db()
    segment.name = "Meanwhile"
    segment.save()
    # What somebody has changed elsewhere in the segment hinders nothing.
    kept.description = "Also changed"
    kept.save()
    problem = "The same field was changed in the meantime: name."
    assert needs(staff) == [f"A change of beta cannot be made: {problem}"]
    PlannedChange.objects.filter(segment_key="beta").update(
        state=PlannedChange.State.REFUSED, problem=problem, decided_at=timezone.now()
    )
    assert needs(staff) == [f"A change of beta was not made when it was due: {problem}"]
    PlannedChange.objects.update(decided_at=timezone.now() - datetime.timedelta(days=8))
    assert needs(staff) == ["Nothing."]


def test_a_membership_that_was_changed_meanwhile(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    segment = SegmentFactory.create(key="beta", name="Beta")
    member = SegmentMemberFactory.create(segment=segment)
    count_everything()
    wanted = membership_change(segment, {str(member.user_id): None})
    tomorrow = timezone.now() + datetime.timedelta(days=1)
    make_plan(examine(wanted), author=None, source="admin", due_at=tomorrow)
    assert needs(staff) == ["Nothing."]
    member.reason = "Changed"
    member.save()
    [said] = needs(staff)
    assert said == (
        "A change of beta cannot be made: The same membership was changed in the meantime."
    )


def test_a_warm_up_that_has_failed(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    run = WarmRun.objects.create(
        state=WarmRun.State.FAILED,
        ranges_planned=1,
        users_planned=1,
        snapshot_version=1,
        spare=False,
    )
    assert needs(staff) == ["The last cache warm-up has failed."]
    run.state = WarmRun.State.DONE
    run.save()
    assert needs(staff) == ["Nothing."]
