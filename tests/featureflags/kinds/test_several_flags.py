"""Flags that ask about organizations, by the real SDK, on every surface that takes a subject."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.template import Context, Template, TemplateSyntaxError
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.functional import SimpleLazyObject
from django.views import View
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.permissions import flag_permission
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.decorators import FlagRequiredMixin, flag_required
from featureflags.evaluation import (
    ais_enabled,
    all_flags,
    is_enabled,
    resolve,
    variation_detail,
)
from featureflags.evaluation.arguments import Subject
from featureflags.flags.overrides import override_for
from featureflags.kinds.compiled import CompiledKind
from tests.conftest import FlagFile
from tests.customers.models import Company, Customer, Profile
from tests.services.flag_json import boolean_flag, clause, prerequisite, rollout, rule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kinds(watched_organizations: CompiledKind) -> CompiledKind:
    return watched_organizations


def of_organizations(*args: Any, **options: Any) -> dict[str, Any]:
    return {**clause(*args, **options), "contextKind": "organization"}


LARGE = boolean_flag("large", rules=[rule(of_organizations("seats", "greaterThan", 50))])
BOTH = boolean_flag(
    "both", rules=[rule(of_organizations("name", "in", "Acme"), clause("plan", "in", "pro"))]
)
AFTER = boolean_flag("after", fallthrough=True, prerequisites=[prerequisite("large")])
HALF = boolean_flag("half", fallthrough={**rollout(50_000, 50_000), "contextKind": "organization"})


@pytest.fixture
def acme() -> Company:
    return Company.objects.create(name="Acme", seats=70)


@pytest.fixture
def ada(acme: Company) -> Customer:
    customer = Customer.objects.create(username="ada")
    Profile.objects.create(customer=customer, plan="pro", company=acme)
    return customer


class TestFlags:
    def test_rules_on_organizations(
        self, flag_file: FlagFile, ada: Customer, acme: Company
    ) -> None:
        flag_file(LARGE, BOTH, AFTER)
        solo = Customer.objects.create(username="solo")
        assert [is_enabled(flag, ada) for flag in ("large", "both", "after")] == [True] * 3
        assert [is_enabled(flag, acme) for flag in ("large", "both", "after")] == [
            True,
            False,
            True,
        ]
        assert [is_enabled(flag, solo) for flag in ("large", "both", "after")] == [False] * 3
        assert variation_detail("both", ada).reason["kind"] == "RULE_MATCH"
        acme.seats = 3
        acme.save()
        assert [is_enabled(flag, ada.pk) for flag in ("large", "after")] == [False, False]
        assert {
            key: each.value for key, each in all_flags(ada).items() if key in {"large", "both"}
        } == {
            "large": False,
            "both": True,
        }

    def test_a_rollout_by_organization_is_the_same_for_its_users(self, flag_file: FlagFile) -> None:
        flag_file(HALF)
        values: list[bool] = []
        for number in range(12):
            company = Company.objects.create(name=f"c{number}")
            people = [Customer.objects.create(username=f"{number}-{n}") for n in range(3)]
            for each in people:
                Profile.objects.create(customer=each, plan="free", company=company)
            found = {is_enabled("half", each) for each in [*people, company]}
            assert len(found) == 1, "everybody of one organization has one answer"
            values += found
        assert set(values) == {True, False}

    def test_extra_attributes_are_the_first_subjects(
        self, flag_file: FlagFile, ada: Customer
    ) -> None:
        flag_file(boolean_flag("page", rules=[rule(clause("page", "in", "home"))]))
        assert is_enabled("page", ada, attributes={"page": "home"}) is True

    def test_a_later_check_of_a_unit_asks_nobody(
        self, flag_file: FlagFile, ada: Customer, acme: Company, django_assert_num_queries: Any
    ) -> None:
        flag_file(LARGE)
        with unit_of_work():
            is_enabled("large", ada)
            is_enabled("large", acme)
            with django_assert_num_queries(0):
                first, again = resolve(ada), resolve(ada)
                assert first is again
                assert is_enabled("large", ("organization", str(acme.pk)))

    def test_a_testers_values_are_for_users_alone(self, flag_file: FlagFile) -> None:
        flag_file(LARGE)
        company = Company.objects.create(name="Same key")
        with override_for(str(company.pk), {"large": True}):
            assert is_enabled("large", str(company.pk)) is True
            assert is_enabled("large", company) is False

    def test_awaited(self, flag_file: FlagFile, ada: Customer, acme: Company) -> None:
        flag_file(LARGE)

        async def asked() -> list[bool]:
            subjects: list[Subject] = [
                str(ada.pk),
                ("organization", str(acme.pk)),
                [str(ada.pk), acme],
            ]
            return [await ais_enabled("large", subject) for subject in subjects]

        assert asyncio.run(asked()) == [True] * 3


class TestTemplates:
    def shown(self, text: str, **context: Any) -> str:
        return Template("{% load featureflags %}" + text).render(Context(context))

    def test_for_a_row_a_text_and_several(
        self, flag_file: FlagFile, ada: Customer, acme: Company
    ) -> None:
        flag_file(LARGE, BOTH)
        block = '{%% flag "%s" for=%s %%}on{%% else %%}off{%% endflag %%}'
        assert self.shown(block % ("large", "acme"), acme=acme) == "on"
        assert self.shown(block % ("large", f'"organization:{acme.pk}"')) == "on"
        assert self.shown(block % ("large", "ada"), ada=ada) == "on"
        assert self.shown(block % ("both", "ada for=acme"), ada=ada, acme=acme) == "on"
        assert self.shown(block % ("large", "nobody")) == "off"
        assert self.shown('{% flag_value "large" False for=acme %}', acme=acme) == "True"

    def test_two_users_are_refused(self) -> None:
        with pytest.raises(TemplateSyntaxError):
            self.shown('{% flag "large" user=a for=b %}')


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse("seen")


async def awaited_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse("seen")


class Guarded(FlagRequiredMixin, View):
    flag_required = "large"

    def flag_subject(self, request: HttpRequest) -> Any:
        return Company.objects.get(name=request.GET["company"])

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("seen")


class GuardedAsync(Guarded):
    async def get(self, request: HttpRequest) -> HttpResponse:  # type: ignore[override]  # awaited
        return HttpResponse("seen")


def company(request: HttpRequest) -> Any:
    return [None, Company.objects.get(name=request.GET["company"])]


def lazy_company(request: HttpRequest) -> Any:
    """As a middleware keeps one: it is not the lazy user of the request."""
    return SimpleLazyObject(lambda: Company.objects.filter(name=request.GET["company"]).first())


class TestViews:
    @pytest.fixture(autouse=True)
    def companies(self, flag_file: FlagFile, acme: Company) -> None:
        flag_file(LARGE)
        Company.objects.create(name="Small", seats=1)

    def request(self, name: str, factory: Any = RequestFactory) -> Any:
        request = factory().get("/", {"company": name})
        request.user = AnonymousUser()
        return request

    @pytest.mark.parametrize(
        "guarded",
        [
            flag_required("large", subject=company)(view),
            flag_required("large", subject=lazy_company)(view),
            Guarded.as_view(),
        ],
    )
    def test_sync(self, guarded: Any) -> None:
        assert guarded(self.request("Acme")).content == b"seen"
        with pytest.raises(Http404):
            guarded(self.request("Small"))

    @pytest.mark.parametrize(
        "guarded",
        [
            flag_required("large", subject=company)(awaited_view),
            flag_required("large", subject=lazy_company)(awaited_view),
            GuardedAsync.as_view(),
        ],
    )
    def test_async(self, guarded: Any) -> None:
        async def answer(name: str) -> bytes:
            response = await guarded(self.request(name, AsyncRequestFactory))
            return bytes(response.content)

        assert asyncio.run(answer("Acme")) == b"seen"
        with pytest.raises(Http404):
            asyncio.run(answer("Small"))

    def test_a_lazy_one_that_is_nobody(self) -> None:
        request = self.request("None")
        assert is_enabled("large", lazy_company(request), request=request) is False
        assert is_enabled("large", lazy_company(request)) is False
        assert is_enabled("large", [None, lazy_company(self.request("Acme"))]) is True

    def test_a_permission(self) -> None:
        permission = flag_permission("large", hidden=False, subject=company)()
        assert permission.has_permission(Request(self.request("Acme")), APIView()) is True
        assert permission.has_permission(Request(self.request("Small")), APIView()) is False
