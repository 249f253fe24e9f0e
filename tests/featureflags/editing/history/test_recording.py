"""Each way to write a segment or its members leaves who, when, what and how many."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.models import HistoryEntry, Segment, SegmentMember
from featureflags.models.changesets import open_changeset
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule, user_of
from tests.featureflags.editing.history.writes import PRO, TEAM, changed_rules, since
from users.models import User

pytestmark = pytest.mark.django_db

SOON = timezone.now() + datetime.timedelta(days=9)

Kind = HistoryEntry.Kind


def other_kind(_segment: Segment, member: SegmentMember) -> None:
    member.kind = SegmentMember.Kind.EXCLUDE
    member.save()


def bulk_reason(_segment: Segment, member: SegmentMember) -> None:
    member.reason = "x"
    SegmentMember.objects.bulk_update([member], ["reason"])


def bulk_name(segment: Segment, _member: SegmentMember) -> None:
    segment.name = "x"
    Segment.objects.bulk_update([segment], ["name"])


def members_of(segment: Segment, _member: SegmentMember) -> None:
    users = UserFactory.create_batch(3)
    SegmentMember.objects.bulk_create(SegmentMember(segment=segment, user=user) for user in users)


def upsert(segment: Segment, member: SegmentMember) -> None:
    rows = [
        SegmentMember(segment=segment, user=member.user, reason="again"),
        SegmentMember(segment=segment, user=UserFactory.create()),
    ]
    SegmentMember.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["segment", "user"],
        update_fields=["reason"],
    )


WRITES: dict[str, tuple[Callable[[Segment, SegmentMember], Any], Kind, int]] = {
    "save": (changed_rules, Kind.CHANGED, 0),
    "create": (lambda s, m: Segment.objects.create(key="n", name="n"), Kind.CREATED, 0),
    "get_or_create": (
        lambda s, m: Segment.objects.get_or_create(key="n", defaults={"name": "n"}),
        Kind.CREATED,
        0,
    ),
    "update": (lambda s, m: Segment.objects.filter(pk=s.pk).update(name="x"), Kind.CHANGED, 0),
    "bulk_create": (
        lambda s, m: Segment.objects.bulk_create([Segment(key="n", name="n")]),
        Kind.CREATED,
        0,
    ),
    "bulk_update": (bulk_name, Kind.CHANGED, 0),
    "delete": (lambda s, m: s.delete(), Kind.DELETED, 1),
    "queryset delete": (lambda s, m: Segment.objects.filter(pk=s.pk).delete(), Kind.DELETED, 1),
    "member save": (other_kind, Kind.CHANGED, 1),
    "member create": (lambda s, m: SegmentMemberFactory.create(segment=s), Kind.CHANGED, 1),
    "member expiry": (
        lambda s, m: SegmentMember.objects.update(expires_at=SOON),
        Kind.CHANGED,
        1,
    ),
    "member bulk_create": (members_of, Kind.CHANGED, 3),
    "member upsert": (upsert, Kind.CHANGED, 2),
    "member bulk_update": (bulk_reason, Kind.CHANGED, 1),
    "member delete": (lambda s, m: m.delete(), Kind.CHANGED, 1),
    "members delete": (lambda s, m: s.members.all().delete(), Kind.CHANGED, 1),
    "account delete": (lambda s, m: user_of(m).delete(), Kind.CHANGED, 1),
    "accounts delete": (
        lambda s, m: User.objects.filter(pk=user_of(m).pk).delete(),
        Kind.CHANGED,
        1,
    ),
}


@pytest.mark.parametrize("way", WRITES)
def test_every_way_to_write_leaves_one_entry(member: SegmentMember, way: str) -> None:
    write, kind, members = WRITES[way]
    before = HistoryEntry.objects.latest("pk").pk
    write(member.segment, member)
    (entry,) = since(before)
    assert (entry.kind, entry.actor, entry.source) == (kind, None, "")
    assert entry.members.count() == members
    assert (entry.before is None) == (kind == Kind.CREATED)
    assert (entry.after is None) == (kind == Kind.DELETED)


def test_an_entry_holds_the_definition_before_and_after(member: SegmentMember) -> None:
    payer = UserFactory.create(metadata={"plan": "pro"})
    UserFactory.create_batch(2, metadata={"plan": "team"})
    changed_rules(member.segment, member)
    entry = HistoryEntry.objects.latest("pk")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["rules"], entry.after["rules"]) == (PRO, TEAM)
    assert (entry.before["version"], entry.after["version"], entry.version) == (1, 2, 2)
    assert (entry.segment_key, entry.after["isActive"]) == ("beta", True)
    assert (entry.entering, entry.leaving, entry.at_least) == (2, 1, False)
    assert abs(entry.at - timezone.now()) < datetime.timedelta(minutes=1)
    assert str(payer.pk) not in str(entry.__dict__)


def test_a_membership_that_is_added_and_ends_moves_its_user_alone(member: SegmentMember) -> None:
    UserFactory.create_batch(2, metadata={"plan": "pro"})
    other = UserFactory.create()
    SegmentMember.objects.create(segment=member.segment, user=other, reason="VIP")
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.entering, entry.leaving) == (1, 0)
    row = entry.members.get()
    assert (row.user, row.kind_before, row.kind_after) == (other, "", "include")
    assert (row.reason_before, row.reason_after) == ("", "VIP")
    ended = timezone.now() - datetime.timedelta(seconds=1)
    SegmentMember.objects.filter(user=other).update(expires_at=ended)
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.entering, entry.leaving) == (0, 1)
    row = entry.members.get()
    assert (row.expires_before, row.expires_after) == (None, ended)


def test_a_payer_who_is_included_too_enters_nothing(member: SegmentMember) -> None:
    payer = UserFactory.create(metadata={"plan": "pro"})
    SegmentMember.objects.create(segment=member.segment, user=payer)
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.entering, entry.leaving) == (0, 0)


def test_users_moved_through_another_segment_are_counted(member: SegmentMember) -> None:
    UserFactory.create(metadata={"plan": "pro"})
    SegmentFactory.create(key="wide", rules=[rule(clause("", "segmentMatch", "beta"))])
    entry = HistoryEntry.objects.latest("pk")
    # The payer by rule, the member by name.
    assert (entry.entering, entry.leaving) == (2, 0)
    Segment.objects.get(key="wide").delete()
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.entering, entry.leaving) == (0, 2)


def test_a_save_that_changes_nothing_leaves_nothing(member: SegmentMember) -> None:
    before = HistoryEntry.objects.latest("pk").pk
    member.segment.save()
    member.save()
    SegmentMember.objects.update(reason=F("reason"))
    SegmentMember.objects.none().update(reason="x")
    assert since(before) == []


def test_one_is_not_true(member: SegmentMember) -> None:
    """In Python 1 equals True; to a rule it does not."""
    segment = SegmentFactory.create(rules=[rule(clause("custom_plan", "in", 1))])
    segment.rules = [rule(clause("custom_plan", "in", True))]
    segment.save()
    entry = HistoryEntry.objects.latest("pk")
    assert entry.kind == Kind.CHANGED
    assert entry.after is not None
    assert entry.after["rules"][0]["clauses"][0]["values"][0] is True


def test_what_fails_or_is_undone_leaves_nothing(member: SegmentMember) -> None:
    before = HistoryEntry.objects.latest("pk").pk
    member.segment.rules = [rule()]
    with pytest.raises(ValidationError):
        member.segment.save()
    with open_changeset():
        Segment.objects.update(name="x")
        with transaction.atomic():
            Segment.objects.filter(key="beta").update(is_active=False)
            transaction.set_rollback(True)
        Segment.objects.filter(key="beta").update(name=member.segment.name)
    assert "beta" not in {entry.segment_key for entry in since(before)}


def test_what_is_written_together_is_one_entry(member: SegmentMember) -> None:
    before = HistoryEntry.objects.latest("pk").pk
    segment, users = member.segment, UserFactory.create_batch(20)
    with open_changeset(note="Launch", source="script"):
        changed_rules(segment, member)
        for user in users:
            SegmentMember.objects.create(segment=segment, user=user)
        member.delete()
    (entry,) = since(before)
    assert (entry.note, entry.source, entry.members.count()) == ("Launch", "script", 21)
    assert (entry.entering, entry.leaving) == (20, 1)


def test_each_segment_of_a_change_has_its_own_entry(member: SegmentMember) -> None:
    SegmentFactory.create(key="other")
    before = HistoryEntry.objects.latest("pk").pk
    with open_changeset(note="Both"):
        Segment.objects.filter(key__in=["beta", "other"]).update(is_active=False)
    assert {(entry.segment_key, entry.note) for entry in since(before)} == {
        ("beta", "Both"),
        ("other", "Both"),
    }


def test_a_segment_that_came_and_went_in_one_change_was_never_there() -> None:
    before = HistoryEntry.objects.latest("pk").pk
    with open_changeset():
        SegmentMemberFactory.create().segment.delete()
    assert since(before) == []


def test_a_moved_membership_is_recorded_for_both_segments(member: SegmentMember) -> None:
    other = SegmentFactory.create(key="other")
    before = HistoryEntry.objects.latest("pk").pk
    SegmentMember.objects.filter(pk=member.pk).update(segment=other)
    recorded = {
        (entry.segment_key, row.kind_before, row.kind_after)
        for entry in since(before)
        for row in entry.members.all()
    }
    assert recorded == {("beta", "include", ""), ("other", "", "include")}
    member.refresh_from_db()
    member.segment = Segment.objects.get(key="beta")
    member.save()
    assert {entry.segment_key for entry in since(before)[2:]} == {"beta", "other"}


def test_five_thousand_members_cost_few_queries(settings: Settings) -> None:
    segment = SegmentFactory.create()
    users = User.objects.bulk_create(
        User(email=f"m{number}@example.com") for number in range(5_000)
    )
    with CaptureQueriesContext(connection) as queries:
        SegmentMember.objects.bulk_create(
            SegmentMember(segment=segment, user=user) for user in users
        )
    few = len(queries)
    assert few < 140
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.members.count(), entry.entering) == (5_000, 5_000)
    with CaptureQueriesContext(connection) as queries:
        segment.members.all().delete()
    assert len(queries) < 200
    assert HistoryEntry.objects.latest("pk").leaving == 5_000


def test_the_demo_leaves_its_entries() -> None:
    call_command("seed_demo")
    entry = HistoryEntry.objects.get(segment_key="paying_customer")
    assert (entry.kind, entry.actor, entry.source) == (Kind.CREATED, None, "")
