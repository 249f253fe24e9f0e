"""Changes at a later time, and every other way that leads to a proposal."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.factories import UserFactory
from tests.featureflags.admin.asking import answer, is_asked
from tests.featureflags.admin.proposals.deciding import (
    LIST,
    TEAM,
    State,
    decide,
    page,
    person,
    proposed,
    rules,
    tomorrow,
)
from tests.featureflags.admin.shared.confirming import PRO, change, form

pytestmark = pytest.mark.django_db


class TestAtALaterTime:
    def test_the_button_asks_when_and_schedules(self, ada: Client, quiet: Segment) -> None:
        sent = form(quiet, rules=TEAM) | {"_later": "Save at …"}
        del sent["_save"]
        asked = ada.post(change(quiet), sent)
        assert is_asked(asked)
        empty = answer(ada, asked, _how="save")
        assert "Choose a date and a time." in empty.content.decode()
        past = answer(ada, asked, _how="save", _due="2020-01-01T10:00")
        assert "has passed already" in past.content.decode()
        assert not PlannedChange.objects.exists()
        due = tomorrow()
        done = answer(ada, asked, _how="save", _due=due)
        plan = PlannedChange.objects.get()
        assert (done.status_code, plan.state, plan.needs_approval) == (302, State.SCHEDULED, False)
        assert plan.due_at is not None
        assert timezone.localtime(plan.due_at).strftime("%Y-%m-%dT%H:%M") == due
        assert Segment.objects.get(key="quiet").rules == PRO
        decide(ada, plan, "now")
        assert Segment.objects.get(key="quiet").rules == TEAM

    def test_what_is_approved_waits_for_its_time(
        self, ada: Client, ben: Client, paying: Segment
    ) -> None:
        plan = proposed(ada, paying, tomorrow())
        assert "made when it is due" in decide(ben, plan, "approve").content.decode()
        plan.refresh_from_db()
        assert (plan.state, rules()) == (State.SCHEDULED, PRO)

    def test_it_is_shown_where_people_look(self, ada: Client, paying: Segment) -> None:
        plan = proposed(ada, paying, tomorrow())
        for address in (change(paying), reverse("admin:index"), LIST):
            assert page(plan) in ada.get(address).content.decode(), address
        assert page(plan) not in ada.get(LIST, {"state": "applied"}).content.decode()

    def test_a_user_sees_what_it_will_do_to_them(self, ben: Client, quiet: Segment) -> None:
        client, user = Client(), UserFactory.create(metadata={"plan": "team"})
        client.force_login(UserFactory.create(superuser=True))
        sent = form(quiet, rules=TEAM) | {"_later": "1"}
        answer(client, client.post(change(quiet), sent), _how="save", _due=tomorrow())
        shown = client.get(reverse("admin:featureflags_usercontext", args=[user.pk]))
        text = shown.content.decode()
        assert "is made" in text
        assert "Enters quiet" in text


class TestEveryWay:
    def test_a_deletion(self, ben: Client, paying: Segment) -> None:
        ada = person("delete_segmentmember")
        address = reverse("admin:featureflags_segment_delete", args=[paying.pk])
        asked = ada.get(address)
        answer(ada, asked, _how="propose", _key="paying")
        plan = PlannedChange.objects.get()
        assert Segment.objects.filter(key="paying").exists()
        wrong = decide(ben, plan, "approve", _key="payin")
        assert "the key is not the one of the segment" in wrong.content.decode()
        decide(ben, plan, "approve", _key="paying")
        assert not Segment.objects.filter(key="paying").exists()

    def test_a_restore(self, ada: Client, ben: Client, paying: Segment) -> None:
        entry = HistoryEntry.objects.latest("pk")
        paying.rules = TEAM
        paying.save()
        address = reverse("admin:featureflags_segment_restore", args=[entry.pk])
        answer(ada, ada.get(address), _how="propose")
        plan = PlannedChange.objects.get()
        assert rules() == TEAM
        decide(ben, plan, "approve")
        assert rules() == PRO
        assert HistoryEntry.objects.latest("pk").restored == entry

    def test_a_member_by_name(self, paying: Segment) -> None:
        client, user = Client(), UserFactory.create()
        client.force_login(UserFactory.create(superuser=True))
        address = reverse("admin:featureflags_segment_by_name", args=["paying"])
        sent = {"user": str(user.pk), "kind": "include", "reason": "VIP"}
        sent |= {f"{name}_{n}": "" for name in ("starts_at", "expires_at") for n in (0, 1)}
        asked = client.post(address, sent)
        assert is_asked(asked)
        answer(client, asked, _how="propose")
        plan = PlannedChange.objects.get()
        assert list(plan.change["members"]) == [str(user.pk)]
        assert not paying.members.exists()
