"""Previews and sizes over REST; and who may ask."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.audience import count_everything, day_sample
from featureflags.kinds.registry import user_kind
from featureflags.models import HistoryEntry, Scope
from tests.factories import (
    SegmentMemberFactory,
    UserFactory,
    clause,
    rule,
    staff_with,
    token_for,
)
from tests.featureflags.api.segment_numbers.callers import PAYING, URL, client_of
from tests.featureflags.api.using import use
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db


class TestPreview:
    PATH = f"{URL}/beta/preview/"

    def test_numbers_and_examples(self, root: APIClient) -> None:
        ada = UserFactory.create(email="ada@example.com", metadata={"plan": "pro"})
        body = root.post(self.PATH, {"rules": PAYING}, format="json").json()
        assert body["users"] == {"at_least": User.objects.count(), "exact": True}
        example = {"key": str(ada.pk), "email": "ada@example.com"}
        assert body["entering"] == {"at_least": 1, "exact": True, "sample": [example]}
        assert body["matching"]["at_least"] == 1
        assert body["leaving"]["at_least"] == 0
        assert HistoryEntry.objects.filter(segment_key="beta").count() == 1

    def test_a_new_segment_and_an_inactive_one(self, root: APIClient) -> None:
        UserFactory.create(metadata={"plan": "pro"})
        new = root.post(f"{URL}/new/preview/", {"rules": PAYING}, format="json").json()
        assert new["entering"]["at_least"] == 1
        off = {"rules": PAYING, "is_active": False}
        assert root.post(self.PATH, off, format="json").json()["matching"]["at_least"] == 0

    def test_warnings_and_remarks(self, root: APIClient) -> None:
        rules = [rule(clause("email_domain", "in", "Example.COM"))]
        body = root.post(self.PATH, {"rules": rules}, format="json").json()
        assert len(body["warnings"]) == len(body["remarks"]) == 1

    def test_wrong_rules_by_their_place(self, root: APIClient) -> None:
        answer = root.post(self.PATH, {"rules": [rule(clause("", "in", "x"))]}, format="json")
        assert answer.status_code == 400
        assert answer.json()["errors"]["rules"][0].startswith("Rule 1, condition 1")
        for body in ({}, {"rules": PAYING, "colour": "red"}):
            assert root.post(self.PATH, body, format="json").status_code == 400

    def test_rules_over_the_limit(self, root: APIClient, settings: Settings) -> None:
        use(settings, MAX_RULES=1)
        answer = root.post(self.PATH, {"rules": PAYING * 2}, format="json")
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:guidon:problem:over-limit"

    def test_estimates_of_a_large_table(
        self, root: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(day_sample, "SIZES", (20, 40, 60))
        UserFactory.create_batch(150, metadata={"plan": "pro"})
        UserFactory.create_batch(150, metadata={"plan": "free"})
        day_sample.draw(user_kind())
        body = root.post(self.PATH, {"rules": PAYING, "quick": True}, format="json").json()
        for name in ("matching", "entering"):
            found = body[name]["estimate"]
            assert found["low"] <= 150 <= found["high"]
            assert found["low"] < found["about"] < found["high"]
            assert not body[name]["exact"]
        whole = root.post(self.PATH, {"rules": PAYING}, format="json").json()
        assert whole["matching"]["at_least"] == 150
        assert "estimate" not in whole["matching"]

    def test_when_time_is_up_the_numbers_are_lower_bounds(
        self, root: APIClient, settings: Settings
    ) -> None:
        use(settings, IMPACT_SECONDS=0.0)
        only_python = [rule(clause("name", "matches", "^a+$"))]
        body = root.post(self.PATH, {"rules": only_python}, format="json").json()
        assert not body["matching"]["exact"]

    def test_who_may(self, by_session: Caller) -> None:
        def ask(client: APIClient) -> Any:
            return client.post(self.PATH, {"rules": PAYING}, format="json")

        UserFactory.create(metadata={"plan": "pro"})
        seen = ask(by_session(staff_with("view_segment")))
        assert seen.status_code == 200
        assert "sample" not in seen.json()["entering"]
        assert ask(by_session(staff_with("view_user"))).status_code == 403
        assert ask(by_session(UserFactory.create())).status_code == 403
        assert ask(APIClient()).status_code == 401
        owner = UserFactory.create(superuser=True)
        assert ask(client_of(token_for(owner, Scope.READ))).status_code == 200
        assert ask(client_of(token_for())).status_code == 403

    def test_a_browser_needs_the_token_of_its_session(self) -> None:
        browser = APIClient(enforce_csrf_checks=True)
        browser.force_login(staff_with("view_segment"))
        answer = browser.post(self.PATH, {"rules": PAYING}, format="json")
        assert answer.status_code == 403


class TestSize:
    PATH = f"{URL}/beta/size/"

    def test_before_and_after_the_first_count(self, root: APIClient) -> None:
        empty = root.get(self.PATH).json()
        assert (empty["at_least"], empty["outdated"], empty["days"]) == (None, True, [])
        SegmentMemberFactory.create(segment__key="gamma")
        count_everything()
        body = root.get(f"{URL}/gamma/size/").json()
        assert (body["at_least"], body["at_most"], body["outdated"]) == (1, 1, False)
        assert body["users"] == User.objects.count()
        today = {"day": str(timezone.localdate()), "at_least": 1, "at_most": 1}
        assert body["days"] == [today]

    def test_who_may(self, by_session: Caller, root: APIClient) -> None:
        assert by_session(staff_with("view_segment")).get(self.PATH).status_code == 200
        assert by_session(staff_with("view_user")).get(self.PATH).status_code == 403
        assert by_session(UserFactory.create()).get(self.PATH).status_code == 403
        assert APIClient().get(self.PATH).status_code == 401
        assert client_of(token_for()).get(self.PATH).status_code == 403
        assert root.get(f"{URL}/none/size/").status_code == 404
