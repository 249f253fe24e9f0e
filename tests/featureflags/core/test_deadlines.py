"""Which budget a request has: by its view, by the admin's addresses, and none outside a request."""

from __future__ import annotations

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.views import View

from featureflags.core import deadlines
from featureflags.core.deadlines import Purpose, current_budget, for_flag_checks, within


def _told(_request: HttpRequest) -> HttpResponse:
    budget = current_budget()
    return HttpResponse("none" if budget is None else budget.purpose.value)


class Told(View):
    purpose = Purpose.FLAG_CHECK

    def get(self, request: HttpRequest) -> HttpResponse:
        return _told(request)


async def _told_async(request: ASGIRequest) -> HttpResponse:
    return _told(request)


@for_flag_checks
def _told_quickly(request: HttpRequest) -> HttpResponse:
    return _told(request)


urlpatterns = [
    path("page", _told),
    path("quick", _told_quickly),
    path("class", Told.as_view()),
    path("async", _told_async),
]

ONLY = {
    "ROOT_URLCONF": __name__,
    "MIDDLEWARE": ["featureflags.core.deadlines.DeadlineMiddleware"],
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "purpose"),
    [("page", "page"), ("quick", "flag_check"), ("class", "flag_check"), ("async", "page")],
)
async def test_a_view_names_its_purpose(address: str, purpose: str) -> None:
    with override_settings(**ONLY):
        # Django's synchronous client asks from a thread of its own here.
        assert (await AsyncClient().get(f"/{address}")).content.decode() == purpose


@pytest.mark.django_db
def test_the_same_for_a_synchronous_server() -> None:
    with override_settings(**ONLY):
        assert Client().get("/quick").content == b"flag_check"
        assert Client().get("/page").content == b"page"
    assert current_budget() is None


@pytest.mark.django_db
def test_the_admin_has_time(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Purpose] = []
    become = deadlines.Budget.become

    def noted(self: deadlines.Budget, purpose: Purpose) -> None:
        seen.append(purpose)
        become(self, purpose)

    monkeypatch.setattr(deadlines.Budget, "become", noted)
    admin_client.get("/admin/featureflags/segment/")
    assert seen == [Purpose.PAGE, Purpose.ADMIN]
    admin_client.get("/")
    admin_client.get("/api/v1/flags/")
    assert seen[2:] == [Purpose.PAGE, Purpose.FLAG_CHECK] * 2


def test_a_budget_within_a_budget_goes_back() -> None:
    with within(Purpose.PAGE) as outer:
        with within(Purpose.FLAG_CHECK):
            assert current_budget() is not outer
        assert current_budget() is outer
