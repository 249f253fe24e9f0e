"""Organizations asked for over OFREP, with OpenFeature, by commands, and shown to their users."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from openfeature.evaluation_context import EvaluationContext

from featureflags.api.contexts import _own, without_unseen
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.compiled import CompiledKind
from featureflags.live.bootstrap import _shown, rows_of
from featureflags.openfeature import GuidonProvider
from tests import factories
from tests.conftest import FlagFile
from tests.customers.models import Company, Customer, Profile
from tests.factories import SegmentFactory, UserFactory, token_for
from tests.services.flag_json import boolean_flag, clause, rule

pytestmark = pytest.mark.django_db(transaction=True)

LARGE = boolean_flag(
    "large",
    rules=[rule({**clause("seats", "greaterThan", 50), "contextKind": "organization"})],
)


@pytest.fixture(autouse=True)
def kinds(watched_organizations: CompiledKind, flag_file: FlagFile) -> None:
    flag_file(LARGE)


@pytest.fixture
def acme() -> Company:
    return Company.objects.create(name="Acme", seats=70, revenue=1.5)


@pytest.fixture
def ada(acme: Company) -> Customer:
    customer = Customer.objects.create(username="ada", email="ada@acme.example")
    Profile.objects.create(customer=customer, plan="pro", company=acme)
    return customer


def ofrep(context: dict[str, Any], token: str | None = None) -> Any:
    return Client().post(
        "/ofrep/v1/evaluate/flags/large",
        json.dumps({"context": context}),
        content_type="application/json",
        headers={"authorization": f"Bearer {token or token_for()}"},
    )


class TestOfrep:
    def test_a_kind_in_the_context(self, acme: Company, ada: Customer) -> None:
        asked = ofrep({"targetingKey": str(acme.pk), "kind": "organization"})
        assert (asked.status_code, asked.json()["value"]) == (200, True)
        assert ofrep({"targetingKey": str(ada.pk)}).json()["value"] is True
        assert ofrep({"targetingKey": str(ada.pk), "kind": "user"}).json()["value"] is True

    @pytest.mark.parametrize(
        "context",
        [
            {"targetingKey": "1", "kind": "planet"},
            {"targetingKey": "1", "kind": 7},
            {"targetingKey": "1", "kind": "organization", "anonymous": True},
        ],
    )
    def test_what_is_no_context(self, context: dict[str, Any]) -> None:
        answer = ofrep(context)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_CONTEXT")

    def test_an_attribute_of_the_database_cannot_be_claimed(self, acme: Company) -> None:
        Company.objects.update(seats=1)
        context = {"targetingKey": str(acme.pk), "kind": "organization", "seats": 99}
        answer = ofrep(context).json()
        assert (answer["value"], answer["metadata"]["ignoredAttributes"]) == (False, "seats")

    def test_a_key_for_other_kinds(self, acme: Company) -> None:
        token = token_for(kinds=["user"])
        asked = ofrep({"targetingKey": str(acme.pk), "kind": "organization"}, token)
        assert asked.status_code == 403


def test_the_provider_of_openfeature(acme: Company) -> None:
    context = EvaluationContext(str(acme.pk), {"kind": "organization"})
    assert GuidonProvider().resolve_boolean_details("large", False, context).value is True


class TestCommands:
    def output(self, *arguments: str) -> str:
        out = StringIO()
        call_command(*arguments, stdout=out)
        return out.getvalue()

    def test_a_subject_of_another_kind(self, acme: Company, ada: Customer) -> None:
        asked = ("evaluate_flag", "large", "--json", "--user")
        for text in (f"organization:{acme.pk}", "organization:acme", str(ada.pk)):
            assert json.loads(self.output(*asked, text))["value"] is True
        named = json.loads(self.output(*asked, "organization:acme"))["user"]
        assert named == f"organization:{acme.pk}"

    def test_a_user_is_shown_with_their_organization(self, acme: Company, ada: Customer) -> None:
        shown = json.loads(self.output("show_context", str(ada.pk), "--json"))
        assert shown["related"]["organization"]["attributes"]["seats"] == 70
        words = self.output("show_context", str(ada.pk))
        assert "user:\n" in words
        assert "organization:\n" in words
        assert json.loads(self.output("show_context", "organization:acme", "--json"))["key"] == str(
            acme.pk
        )

    def test_forgetting_an_organization(self, acme: Company) -> None:
        assert "1 row forgotten" in self.output("invalidate_contexts", "organization:acme")

    def test_a_row_that_there_is_not(self) -> None:
        with pytest.raises(CommandError, match="There is no organization 'nobody'"):
            call_command("show_context", "organization:nobody")


class TestBrowsers:
    def test_a_page_gets_every_part_without_what_is_private(
        self, ada: Customer, acme: Company
    ) -> None:
        shown: Any = _shown(resolve(ada.pk))
        assert shown["kind"] == "multi"
        assert shown["user"]["plan"] == "pro"
        assert shown["organization"]["seats"] == 70
        text = json.dumps(shown)
        assert "ada@acme.example" not in text
        assert "revenue" not in shown["organization"]
        assert "segments" not in text

    def test_a_stream_is_woken_by_the_organization_too(self, ada: Customer, acme: Company) -> None:
        assert rows_of(resolve(ada.pk)) == (str(ada.pk), ("organization", str(acme.pk)))

    def test_users_see_no_segments_of_their_organization(self, ada: Customer) -> None:
        own = _own(resolve(ada.pk).to_dict())
        assert own["segments"] == own["related"]["organization"]["segments"] == []
        assert "segments" not in own["related"]["organization"]["attributes"]

    @pytest.mark.parametrize(
        ("seen", "shown"), [({"user"}, []), ({"user", "organization"}, ["organization"])]
    )
    def test_staff_see_what_belongs_to_a_user_where_they_may(
        self, ada: Customer, monkeypatch: pytest.MonkeyPatch, seen: set[str], shown: list[str]
    ) -> None:
        monkeypatch.setattr("featureflags.api.contexts.kinds_seen", lambda _request: seen)
        request: Any = None
        assert [*without_unseen(request, resolve(ada.pk).to_dict())["related"]] == shown


class TestManyAtOnce:
    def asked(self, subjects: list[str], **key: Any) -> Any:
        return Client().post(
            "/api/v1/flags/evaluate/",
            json.dumps({"subjects": subjects, "flags": ["large"]}),
            content_type="application/json",
            headers={"authorization": f"Bearer {token_for(**key)}"},
        )

    def test_users_and_organizations(self, acme: Company, ada: Customer) -> None:
        named = f"organization:{acme.pk}"
        answer = self.asked([str(ada.pk), named, "organization:999"])
        assert answer.status_code == 200, answer.content
        found = {each["key"]: each["flags"]["large"]["value"] for each in answer.json()["results"]}
        assert found == {str(ada.pk): True, named: True, "organization:999": False}

    def test_a_key_for_users_alone(self, acme: Company, ada: Customer) -> None:
        assert self.asked([str(ada.pk)], kinds=["user"]).status_code == 200
        assert self.asked([f"organization:{acme.pk}"], kinds=["user"]).status_code == 403
        assert self.asked([f"organization:{acme.pk}"], kinds=["organization"]).status_code == 200
        assert self.asked([str(ada.pk)], kinds=["organization"]).status_code == 403


class TestAdmin:
    @pytest.fixture
    def staff(self, client: Client) -> Client:
        client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
        return client

    def page(self, client: Client, name: str, *arguments: object) -> str:
        answer = client.get(reverse(f"admin:featureflags_{name}", args=arguments))
        assert answer.status_code == 200
        return answer.content.decode()

    def test_the_page_of_a_user_shows_their_organization(
        self, staff: Client, ada: Customer, acme: Company
    ) -> None:
        SegmentFactory.create(
            key="big",
            kind="organization",
            rules=[factories.rule(factories.clause("seats", "greaterThan", 50))],
        )
        SegmentFactory.create(key="tiny", kind="organization", rules=[])
        text = self.page(staff, "usercontext", ada.pk)
        own = reverse("admin:featureflags_rowcontext", args=["organization", acme.pk])
        assert f'organization <a href="{own}">Acme</a> <code>{acme.pk}</code>' in text
        assert "part-organization" in text
        assert "In the segments big." in text
        assert "tiny" not in text, "a segment of organizations is none that the user is not in"
        assert "<code>true</code>" in text, "the flag large"

    def test_a_flag_is_explained_by_the_organization(
        self, staff: Client, ada: Customer, acme: Company
    ) -> None:
        text = self.page(staff, "why_flag", "large", ada.pk)
        assert "seats" in text
        assert "70" in text

    def test_a_segment_of_organizations_is_explained_by_the_organization(
        self, staff: Client, ada: Customer, acme: Company, flag_file: FlagFile
    ) -> None:
        SegmentFactory.create(
            key="big",
            kind="organization",
            rules=[factories.rule(factories.clause("seats", "greaterThan", 50))],
        )
        in_big = {**clause("segments", "in", "big"), "contextKind": "organization"}
        flag_file(boolean_flag("for-big", rules=[rule(in_big)]))
        text = self.page(staff, "why_flag", "for-big", ada.pk)
        assert "Acme is in “big”: rule 1 matches." in text
        assert "Seats: 70" in text

    def test_who_may_not_see_organizations_sees_none(self, client: Client, ada: Customer) -> None:
        viewer = UserFactory.create(is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_customer"))
        client.force_login(viewer)
        text = self.page(client, "usercontext", ada.pk)
        assert "part-organization" not in text
        viewer.user_permissions.add(Permission.objects.get(codename="view_segment"))
        text = self.page(client, "why_flag", "large", ada.pk)
        assert "seats" in text, "the condition is the flag's"
        assert "you may not see what the organization has" in text
        assert "70" not in text[text.index('id="why-flag"') :]
        asked = {"kind": "user", "subject": str(ada.pk)}
        explained = client.get("/api/v1/flags/large/explain/", asked).json()
        [condition] = explained["explanation"]["rules"][0]["conditions"]
        assert (condition["held"], "observed" in condition) == (True, False)
