"""`include("featureflags.urls")`: what a project gets from one line, and when the API is part of it."""

from __future__ import annotations

import importlib
from unittest import mock

import pytest
from django.test import Client
from django.urls import include, path, reverse

from featureflags import urls
from featureflags.core import extras
from tests.factories import SegmentFactory, UserFactory

urlpatterns = [path("guidon/", include("featureflags.urls"))]

here = pytest.mark.urls(__name__)


@here
def test_all_of_it_has_one_namespace() -> None:
    assert reverse("featureflags:health") == "/guidon/healthz"
    assert reverse("featureflags:flag-list") == "/guidon/api/v1/flags/"


@here
@pytest.mark.django_db
def test_the_api_follows_its_own_rules(client: Client) -> None:
    """A project's REST_FRAMEWORK may say anything: pages, forms, another handler of errors."""
    SegmentFactory.create(key="beta")
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    address = reverse("featureflags:segment-list")

    shown = client.get(address, headers={"Accept": "text/html"})
    assert shown.status_code == 406
    listed = client.get(address, {"page_size": "1"}).json()
    assert (listed["count"], len(listed["results"])) == (listed["count"], 1)
    refused = client.post(address, {"key": "x"})
    assert refused.status_code == 415


@pytest.mark.parametrize("missing", [["rest_framework"], []])
def test_without_the_extra_there_is_no_api(missing: list[str]) -> None:
    try:
        with mock.patch.object(extras, "missing_modules", return_value=missing):
            routes = [str(each.pattern) for each in importlib.reload(urls).urlpatterns]
        assert ("api/v1/" in routes) is (not missing)
        assert "" in routes
    finally:
        importlib.reload(urls)
