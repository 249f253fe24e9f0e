"""flag_required and FlagRequiredMixin, behind the real middleware, for sync and async views."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import RedirectView

from config.flags import INTERNAL_TOOLS
from featureflags.decorators import FlagRequiredMixin, flag_required
from featureflags.evaluation import override_flag
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, segment_rule, string_flag


@flag_required("internal-tools")
def plain(request: HttpRequest, word: str) -> HttpResponse:
    """The view's own words."""
    return HttpResponse(f"{request.method} {word}")


@flag_required(INTERNAL_TOOLS)
async def awaited(request: HttpRequest, word: str) -> HttpResponse:
    return HttpResponse(f"{request.method} {word}")


class Plain(FlagRequiredMixin, View):
    flag_required = "internal-tools"

    def get(self, request: HttpRequest, word: str) -> HttpResponse:
        return HttpResponse(f"{request.method} {word}")


class Awaited(FlagRequiredMixin, View):
    flag_required = INTERNAL_TOOLS

    async def get(self, request: HttpRequest, word: str) -> HttpResponse:
        return HttpResponse(f"{request.method} {word}")


@method_decorator(flag_required("internal-tools"), name="dispatch")
class Decorated(View):
    def get(self, request: HttpRequest, word: str) -> HttpResponse:
        return HttpResponse(f"{request.method} {word}")


@flag_required("undeclared", default=True)
def on_by_default(request: HttpRequest) -> HttpResponse:
    return HttpResponse("on")


class OnByDefault(FlagRequiredMixin, View):
    flag_required = "undeclared"
    flag_default = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("on")


class Nameless(FlagRequiredMixin, RedirectView):
    url = "/"


urlpatterns = [
    path("plain/<str:word>/", plain),
    path("awaited/<str:word>/", awaited),
    path("class/<str:word>/", Plain.as_view()),
    path("async-class/<str:word>/", Awaited.as_view()),
    path("decorated/<str:word>/", Decorated.as_view()),
    path("on-by-default/", on_by_default),
    path("on-by-default-class/", OnByDefault.as_view()),
]

VIEWS = ["plain", "awaited", "class", "async-class", "decorated"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))


@pytest.mark.parametrize("view", VIEWS)
def test_it_is_there_for_those_who_have_the_flag(view: str) -> None:
    client = Client()
    client.force_login(UserFactory.create(employee=True))
    answer = client.get(f"/{view}/hello/")
    assert (answer.status_code, answer.content) == (200, b"GET hello")


@pytest.mark.parametrize("view", VIEWS)
def test_it_is_404_for_everybody_else(view: str) -> None:
    client = Client()
    assert client.get(f"/{view}/hello/").status_code == 404
    client.force_login(UserFactory.create())
    assert client.get(f"/{view}/hello/").status_code == 404


@pytest.fixture
async def closed_connections() -> AsyncIterator[None]:
    """End the connection of the thread in which async code asks the database."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.usefixtures("closed_connections")
async def test_under_an_async_server(view: str) -> None:
    client = AsyncClient()
    assert (await client.get(f"/{view}/hello/")).status_code == 404
    employee = await sync_to_async(UserFactory.create)(employee=True)
    await client.aforce_login(employee)
    answer = await client.get(f"/{view}/hello/")
    assert (answer.status_code, answer.content) == (200, b"GET hello")


@pytest.mark.parametrize("view", VIEWS)
def test_a_visitor_is_identified_by_their_cookie(view: str) -> None:
    client = Client()
    client.get(f"/{view}/hello/")
    assert "guidon_visitor" in client.cookies


def test_an_override_opens_it() -> None:
    with override_flag("internal-tools", True):
        assert Client().get("/plain/hello/").status_code == 200


@pytest.mark.parametrize("value", [None, "on"])
def test_a_flag_that_says_no_true_is_off(flag_file: FlagFile, value: Any) -> None:
    flag_file(*([string_flag("internal-tools", [value])] if value else []))
    client = Client()
    client.force_login(UserFactory.create(employee=True))
    for view in VIEWS:
        assert client.get(f"/{view}/hello/").status_code == 404


@pytest.mark.parametrize("view", ["on-by-default", "on-by-default-class"])
def test_a_default_answers_for_a_flag_that_is_not_there(flag_file: FlagFile, view: str) -> None:
    assert Client().get(f"/{view}/").status_code == 200


@pytest.mark.parametrize("view", ["on-by-default", "on-by-default-class"])
def test_a_default_does_not_hide_the_value_of_launchdarkly(flag_file: FlagFile, view: str) -> None:
    flag_file(boolean_flag("undeclared"))
    assert Client().get(f"/{view}/").status_code == 404


def test_a_class_that_names_no_flag_is_a_mistake(rf: RequestFactory) -> None:
    with pytest.raises(ImproperlyConfigured, match="Nameless"):
        Nameless.as_view()(rf.get("/"))


def test_a_view_keeps_its_name_and_words() -> None:
    assert (plain.__name__, plain.__doc__) == ("plain", "The view's own words.")
