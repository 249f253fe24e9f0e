"""Who made a change, how many users it moved, and what a deleted account leaves in the history."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.models import AppendOnly, HistoryEntry, HistoryMember, Segment, SegmentMember
from featureflags.models.changesets import Moved, open_changeset
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, user_of
from tests.featureflags.editing.history.writes import TEAM, changed_rules, since
from users.models import User
from users.querysets import STAND_IN_EMAIL

pytestmark = pytest.mark.django_db


class TestWho:
    def test_nobody_but_the_system(self) -> None:
        SegmentFactory.create()
        assert HistoryEntry.objects.latest("pk").actor is None

    def test_the_user_of_the_request(self, rf: RequestFactory) -> None:
        request = rf.get("/")
        request.user = UserFactory.create()
        with unit_of_work(request):
            SegmentFactory.create()
        assert HistoryEntry.objects.latest("pk").actor == request.user

    def test_the_given_actor_is_recorded_even_the_system(self, rf: RequestFactory) -> None:
        request = rf.get("/")
        request.user, named = UserFactory.create(), UserFactory.create()
        with unit_of_work(request):
            with open_changeset(actor=named):
                SegmentFactory.create()
            assert HistoryEntry.objects.latest("pk").actor == named
            with open_changeset(actor=None):
                SegmentFactory.create()
            assert HistoryEntry.objects.latest("pk").actor is None

    def test_an_inner_change_fills_in_what_the_outer_one_leaves_open(self) -> None:
        named = UserFactory.create()
        with open_changeset(note="outer"), open_changeset(actor=named, note="in", source="api"):
            SegmentFactory.create()
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.actor, entry.note, entry.source) == (named, "outer", "api")

    def test_the_admin_and_a_visitor(self, client: Client) -> None:
        user = UserFactory.create(superuser=True)
        client.force_login(user)
        client.post(
            "/admin/featureflags/segment/add/",
            {"key": "k", "name": "K", "rules": "[]", "is_active": "on"},
        )
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.segment_key, entry.actor) == ("k", user)


class TestNumbers:
    def test_what_is_known_is_not_counted_again(self, member: SegmentMember) -> None:
        moved = {"beta": Moved(entering=700, leaving=3, at_least=True)}
        with CaptureQueriesContext(connection) as queries, open_changeset(moved=moved):
            changed_rules(member.segment, member)
        assert not any("COUNT(*) FILTER" in query["sql"] for query in queries)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.leaving, entry.at_least) == (700, 3, True)

    def test_a_new_name_moves_nobody_and_nobody_is_asked(self, member: SegmentMember) -> None:
        member.segment.name = "Other"
        with CaptureQueriesContext(connection) as queries:
            member.segment.save()
        assert not any('FROM "users_user"' in query["sql"] for query in queries)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.leaving) == (0, 0)

    def test_a_count_without_time_is_a_lower_bound_or_missing(
        self, member: SegmentMember, settings: Settings
    ) -> None:
        UserFactory.create(metadata={"plan": "team"})
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "IMPACT_SECONDS": 0.001}
        changed_rules(member.segment, member)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.at_least) in {(0, True), (1, True), (1, False), (None, False)}
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "IMPACT_SECONDS": 0}
        Segment.objects.filter(key="beta").update(is_active=False)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.leaving, entry.at_least) == (None, None, False)
        assert not Segment.objects.get(key="beta").is_active

    def test_a_count_that_fails_fails_no_save(
        self, member: SegmentMember, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_args: Any, **_options: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM nowhere")

        monkeypatch.setattr("featureflags.editing.moved_users.impact_of", broken)
        changed_rules(member.segment, member)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.leaving) == (None, None)
        member.segment.refresh_from_db()
        assert member.segment.rules == TEAM


class TestAppendOnly:
    def test_nothing_changes_and_nothing_goes(self, member: SegmentMember) -> None:
        entry, row = HistoryEntry.objects.latest("pk"), HistoryMember.objects.latest("pk")
        for thing in (entry, row):
            for attempt in (
                thing.save,
                thing.delete,
                lambda thing=thing: type(thing).objects.all().delete(),
                lambda thing=thing: type(thing).objects.update(pk=1),
            ):
                with pytest.raises(AppendOnly):
                    attempt()

    def test_it_outlives_the_segment(self, member: SegmentMember) -> None:
        member.segment.delete()
        kinds = HistoryEntry.objects.filter(segment_key="beta").values_list("kind", flat=True)
        assert list(kinds) == ["deleted", "changed", "created"]

    def test_a_segment_that_is_created_again_goes_on_counting(self) -> None:
        segment = SegmentFactory.create(key="beta")
        segment.save()
        segment.delete()
        assert SegmentFactory.create(key="beta").version == 3


class TestDeletedAccounts:
    def test_the_key_goes_and_the_number_stays(self, member: SegmentMember) -> None:
        member.reason = "Ada's sister"
        member.save()
        key = member.user_id
        user_of(member).delete()
        assert not HistoryMember.objects.filter(user=key).exists()
        rows = HistoryMember.objects.filter(entry__segment_key="beta")
        assert [(row.user, row.reason_before, row.reason_after) for row in rows] == [
            (None, "", "")
        ] * 3
        entry = HistoryEntry.objects.latest("pk")
        assert entry.members.get().kind_before == "include"
        # There is nobody left to count.
        assert (entry.entering, entry.leaving) == (None, None)

    def test_their_changes_get_the_placeholder_as_actor(self) -> None:
        staff, segment = UserFactory.create(), SegmentFactory.create()
        with open_changeset(actor=staff):
            segment.delete()
        staff.delete()
        actor = HistoryEntry.objects.latest("pk").actor
        assert actor is not None
        assert actor.email == STAND_IN_EMAIL

    def test_no_placeholder_is_created_for_a_user_without_changes(self) -> None:
        UserFactory.create().delete()
        assert not User.objects.filter(email=STAND_IN_EMAIL).exists()

    def test_a_user_deletes_their_own_account(
        self, rf: RequestFactory, member: SegmentMember
    ) -> None:
        request = rf.get("/")
        request.user = User.objects.get(pk=user_of(member).pk)
        with unit_of_work(request):
            user_of(member).delete()
        connection.check_constraints()
        entry = HistoryEntry.objects.latest("pk")
        assert entry.members.get().kind_before == "include"

    def test_many_at_once_within_a_change(self, member: SegmentMember) -> None:
        SegmentMemberFactory.create_batch(4, segment=member.segment)
        before = HistoryEntry.objects.latest("pk").pk
        with open_changeset(note="Asked to be forgotten"):
            User.objects.filter(segment_members__segment=member.segment).delete()
        connection.check_constraints()
        (entry,) = since(before)
        assert entry.members.filter(user=None, kind_before="include").count() == 5
