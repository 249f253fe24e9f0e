"""Several kinds at once in LaunchDarkly's own segments and in its events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from featureflags.contexts.new_visitors import SHARED
from featureflags.evaluation import is_enabled
from featureflags.launchdarkly.client import close
from tests.customers.declarations import EmployeeKind, OrganizationKind
from tests.customers.models import Company, Customer, Profile
from tests.featureflags.kinds.conftest import declared
from tests.services.flag_json import boolean_flag, clause, rule, segment
from tests.services.launchdarkly import LaunchDarklyServer

pytestmark = pytest.mark.django_db(transaction=True)

IN_SEGMENT = boolean_flag("in-segment", rules=[rule(clause("", "segmentMatch", "vips"))])


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    with declared(EmployeeKind, OrganizationKind):
        yield


@pytest.fixture
def acme() -> Company:
    return Company.objects.create(name="Acme", seats=70)


@pytest.fixture
def ada(acme: Company) -> Customer:
    customer = Customer.objects.create(username="ada")
    Profile.objects.create(customer=customer, plan="pro", company=acme)
    return customer


def test_members_of_other_kinds_of_a_segment(
    connected: LaunchDarklyServer, ada: Customer, acme: Company
) -> None:
    vips = segment("vips")
    vips["includedContexts"] = [{"contextKind": "organization", "values": [str(acme.pk)]}]
    connected.set_segment(vips)
    connected.set_flag(IN_SEGMENT)
    assert is_enabled("in-segment", ada) is True
    assert is_enabled("in-segment", Customer.objects.create(username="solo")) is False


def test_a_new_visitor_stays_nameless_beside_an_organization(
    connected: LaunchDarklyServer, acme: Company
) -> None:
    connected.set_flag(boolean_flag("beta", fallthrough=True, track_events=True))
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert is_enabled("beta", [None, acme], request=request) is True
    close()
    contexts = [event["context"] for event in connected.events() if "context" in event]
    assert contexts
    assert {each["user"]["key"] for each in contexts} == {SHARED.key}
    assert {each["organization"]["key"] for each in contexts} == {str(acme.pk)}
