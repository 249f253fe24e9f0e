"""flag_permission: an endpoint that exists only for users with a flag on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import include, path
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from config.flags import INTERNAL_TOOLS
from featureflags.api.permissions import flag_permission
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, segment_rule
from tests.users.api.conftest import Caller
from users.models import User


class Hidden(APIView):
    permission_classes = [AllowAny, flag_permission("internal-tools")]

    def get(self, request: Request) -> Response:
        return Response("there")


class Denied(Hidden):
    permission_classes = [flag_permission(INTERNAL_TOOLS, hidden=False) | IsAdminUser]


class OnByDefault(Hidden):
    permission_classes = [flag_permission("undeclared", default=True)]


urlpatterns = [
    path("hidden/", Hidden.as_view()),
    path("denied/", Denied.as_view()),
    path("on-by-default/", OnByDefault.as_view()),
    path("api/v1/", include("config.api_urls")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))


def test_it_is_there_for_those_who_have_the_flag(by_session: Caller, by_key: Caller) -> None:
    employee = UserFactory.create(employee=True)
    for caller in (by_session, by_key):
        for url in ("/hidden/", "/denied/"):
            assert caller(employee).get(url).json() == "there"


def test_it_is_404_for_everybody_else(by_session: Caller, by_key: Caller) -> None:
    customer = UserFactory.create()
    for client in (APIClient(), by_session(customer), by_key(customer)):
        assert client.get("/hidden/").status_code == 404


def test_it_can_deny_instead_and_be_combined(by_session: Caller) -> None:
    assert APIClient().get("/denied/").status_code == 401
    assert by_session(UserFactory.create()).get("/denied/").status_code == 403
    assert by_session(UserFactory.create(is_staff=True)).get("/denied/").status_code == 200


def test_a_visitor_gets_their_cookie() -> None:
    client = APIClient()
    client.get("/hidden/")
    assert "guidon_visitor" in client.cookies


def test_a_default_answers_for_a_flag_that_is_not_there(flag_file: FlagFile) -> None:
    assert APIClient().get("/on-by-default/").status_code == 200


def test_a_default_does_not_hide_the_value_of_launchdarkly(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("undeclared"))
    assert APIClient().get("/on-by-default/").status_code == 404


@pytest.mark.parametrize(
    "wrong", [User(), AnonymousUser(), uuid.uuid4(), None, AllowAny, Hidden().get, HttpRequest()]
)
def test_anything_but_a_flag_is_refused_when_the_class_is_defined(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r'write flag_permission\("flag-key"\)'):
        flag_permission(wrong)


def test_an_address_is_refused_as_a_flag_and_not_repeated_in_the_message() -> None:
    with pytest.raises(ValueError, match="must not contain an @") as raised:
        flag_permission("ada@sentinel.example")
    assert "sentinel" not in str(raised.value)


def test_a_user_is_not_passed_by_position() -> None:
    wrong: Any = flag_permission
    with pytest.raises(TypeError):
        wrong("internal-tools", UserFactory.build())


@pytest.mark.parametrize("subject", ["ada@sentinel.example", HttpRequest(), 5])
def test_a_request_with_something_else_than_a_user_is_a_visitor(
    flag_file: FlagFile, subject: Any
) -> None:
    """An authentication class of a project may set anything as `request.user`."""
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))
    request = APIRequestFactory().get("/hidden/")
    force_authenticate(request, user=subject)
    assert Hidden.as_view()(request).status_code == 404
