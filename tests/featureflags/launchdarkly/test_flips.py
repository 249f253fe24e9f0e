"""A flip in LaunchDarkly reaches the next request of an open page. How soon: `make bench ARGS=store`."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from featureflags.evaluation import is_enabled
from featureflags.launchdarkly.client import feature_store
from tests.factories import UserFactory
from tests.featureflags.launchdarkly.asking import ARRIVES
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.waiting import wait_until

FLIPS = 100


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(is_enabled("beta", request=request)))


urlpatterns = [path("page/", page)]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.featureflags.launchdarkly.test_flips"),
]


def flip(server: LaunchDarklyServer, *, on: bool) -> None:
    """Return as soon as this process has the change."""
    before = feature_store().raw()["flags"]["beta"]["version"]
    server.set_flag(boolean_flag("beta", fallthrough=on))
    wait_until(
        lambda: feature_store().raw()["flags"]["beta"]["version"] > before,
        timeout=ARRIVES,
        what="the change",
    )


@pytest.mark.parametrize("is_user", [True, False], ids=["user", "visitor"])
def test_the_very_next_request_sees_it(
    connected: LaunchDarklyServer, client: Client, is_user: bool
) -> None:
    """No cache of ours holds flags back, also not with a user's snapshot in it."""
    if is_user:
        client.force_login(UserFactory.create())
    assert client.get("/page/").content == b"True"
    for number in range(FLIPS):
        on = number % 2 == 1
        flip(connected, on=on)
        assert client.get("/page/").content.decode() == str(on)
    assert len(connected.requests("/all")) == 1, "one stream brought them all"
