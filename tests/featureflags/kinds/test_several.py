"""Several kinds at once: users with their organizations, asked for in every form."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import caches
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from featureflags.cache import entries
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.evaluation.awaited import aresolve
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named
from tests.customers.models import Company, Customer, Profile
from tests.factories import SegmentFactory, clause, rule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kinds(watched_organizations: CompiledKind) -> CompiledKind:
    return watched_organizations


@pytest.fixture
def acme() -> Company:
    return Company.objects.create(name="Acme", seats=70, revenue=1.5)


@pytest.fixture
def ada(acme: Company) -> Customer:
    customer = Customer.objects.create(username="ada")
    Profile.objects.create(customer=customer, plan="pro", company=acme)
    return customer


def parts(subject: Any, **options: Any) -> dict[str, dict[str, Any]]:
    """The attributes of each kind, as LaunchDarkly's SDK is given them."""
    context = resolve(subject, **options).context
    found = [context.get_individual_context(at) for at in range(context.individual_context_count)]
    return {each.kind: each.to_dict() for each in found if each is not None}


class TestDeclarations:
    def test_nothing_is_wrong(self, kinds: CompiledKind) -> None:
        organization = kind_named("organization")
        assert organization is not None
        assert (kinds.problems, organization.problems) == ([], [])
        assert kinds.related == {"organization": "organization"}
        assert "organization" not in {attribute.name for attribute in kinds.attributes}


class TestSubjects:
    def test_a_user_goes_out_with_their_organization(self, ada: Customer, acme: Company) -> None:
        found = parts(str(ada.pk))
        assert found["user"]["plan"] == "pro"
        assert found["organization"]["key"] == str(acme.pk)
        assert (found["organization"]["name"], found["organization"]["seats"]) == ("Acme", 70)

    def test_every_form_of_a_user_says_the_same(self, ada: Customer) -> None:
        forms = [ada.pk, str(ada.pk), ("user", ada.pk), Customer.objects.get(pk=ada.pk)]
        with_all = Customer.objects.select_related("profile__company").get(pk=ada.pk)
        assert [parts(form) for form in [*forms, with_all]] == [parts(str(ada.pk))] * 5

    def test_a_user_without_an_organization_is_alone(self) -> None:
        assert set(parts(Customer.objects.create(username="solo"))) == {"user"}

    def test_an_organization_by_row_and_key(self, acme: Company) -> None:
        by_key = parts(("organization", str(acme.pk)))
        assert set(by_key) == {"organization"}
        assert parts(acme) == parts(("organization", acme.pk)) == by_key

    def test_a_list_is_what_it_names(self, ada: Customer, acme: Company) -> None:
        other = Company.objects.create(name="Other", seats=1)
        found = parts([ada, other])
        assert found["organization"]["name"] == "Other"
        assert set(parts([ada])) == {"user"}
        assert parts([("organization", acme.pk), ada.pk])["user"]["key"] == str(ada.pk)

    def test_a_visitor_with_an_organization(self, acme: Company) -> None:
        request = RequestFactory().get("/")
        request.user = AnonymousUser()
        found = parts([None, acme], request=request)
        assert found["user"]["anonymous"] is True
        assert found["organization"]["seats"] == 70

    @pytest.mark.parametrize(
        ("subject", "error"),
        [
            ([], "empty"),
            (("planet", "mars"), "no kind 'planet'"),
            (("organization", ""), "must not be empty"),
            (("organization", "ada@acme.example"), "@"),
            ([("organization", "1"), ("organization", "2")], "no multi-context"),
        ],
    )
    def test_what_cannot_be_meant(self, subject: Any, error: str) -> None:
        with pytest.raises(ValueError, match=error):
            resolve(subject)

    def test_an_organization_that_does_not_exist(self) -> None:
        found = resolve(("organization", "999"))
        assert (found.source, found.degraded) == (
            ContextSource.BARE,
            (Degradation.NO_SUCH_USER,),
        )
        assert (found.context.kind, found.context.key) == ("organization", "999")

    def test_awaited(self, ada: Customer, acme: Company) -> None:
        async def asked() -> list[Any]:
            return [
                (await aresolve(subject, None, None)).context
                for subject in (str(ada.pk), ("organization", acme.pk), [ada, acme])
            ]

        expected = [
            resolve(subject).context
            for subject in (str(ada.pk), ("organization", acme.pk), [ada, acme])
        ]
        assert asyncio.run(asked()) == expected


class TestCache:
    def test_each_has_an_entry_of_its_own(self, ada: Customer, acme: Company) -> None:
        resolve(str(ada.pk))
        names = [entries.name_of(str(ada.pk)), entries.name_of(("organization", str(acme.pk)))]
        assert all(caches["featureflags"].get(name) is not None for name in names)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert resolve(str(ada.pk)).source is ContextSource.CACHE
        assert len(queries) <= 1  # the version, if its four seconds are over

    def test_keys_that_are_equal_are_two_rows(self, ada: Customer) -> None:
        same = Company.objects.create(pk=ada.pk + 500, name="Same")
        user = Customer.objects.create(pk=same.pk, username="same")
        with unit_of_work():
            assert resolve(str(user.pk)).context.kind == "user"
            assert resolve(("organization", same.pk)).context.kind == "organization"
            assert resolve(str(user.pk)).context.kind == "user"

    def test_a_write_to_the_organization_is_seen(self, ada: Customer, acme: Company) -> None:
        resolve(str(ada.pk))
        acme.seats = 5
        acme.save()
        assert parts(str(ada.pk))["organization"]["seats"] == 5
        with unit_of_work():
            parts(str(ada.pk))
            Company.objects.update(seats=6)
            assert parts(str(ada.pk))["organization"]["seats"] == 6
            assert parts(acme.__class__.objects.get())["organization"]["seats"] == 6

    def test_a_user_who_moves_is_seen(self, ada: Customer) -> None:
        resolve(str(ada.pk))
        Profile.objects.update(company=Company.objects.create(name="New"))
        assert parts(str(ada.pk))["organization"]["name"] == "New"
        Profile.objects.update(company=None)
        assert set(parts(str(ada.pk))) == {"user"}

    def test_many_at_once_take_two_reads(self, acme: Company) -> None:
        people = [Customer.objects.create(username=f"u{n}") for n in range(20)]
        for each in people:
            Profile.objects.create(customer=each, plan="free", company=acme)
        keys = [str(each.pk) for each in people]
        with unit_of_work(), CaptureQueriesContext(connection) as queries:
            found = contexts_for(keys)
        assert all(len(context.parts) == 2 for context in found.values())
        selects = [each for each in queries if "customers_" in each["sql"]]
        assert len(selects) == 2, [each["sql"] for each in selects]


class TestSegments:
    def test_an_organization_has_segments_of_its_own(self, ada: Customer, acme: Company) -> None:
        SegmentFactory.create(
            key="large", kind="organization", rules=[rule(clause("seats", "greaterThan", 50))]
        )
        SegmentFactory.create(key="pro", rules=[rule(clause("plan", "in", "pro"))])
        found = parts(str(ada.pk))
        assert found["user"]["segments"] == ["new_user", "pro"]
        assert found["organization"]["segments"] == ["large"]
        acme.seats = 1
        acme.save()
        assert parts(str(ada.pk))["organization"]["segments"] == []
