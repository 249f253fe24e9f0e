"""The page for outages in a project that has no `503.html` of its own."""

from __future__ import annotations

from copy import deepcopy

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django.fixtures import Settings


def away(_request: HttpRequest) -> HttpResponse:
    raise OperationalError("password=secret")


urlpatterns = [path("away/", away)]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_the_app_brings_a_page(settings: Settings) -> None:
    settings.TEMPLATES = deepcopy(settings.TEMPLATES)
    settings.TEMPLATES[0]["DIRS"] = []
    settings.MIDDLEWARE = ["featureflags.unavailable.UnavailableMiddleware"]

    response = Client().get("/away/")

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    page = response.content.decode()
    assert "<h1>Not available just now</h1>" in page
    assert "secret" not in page
    assert "Guidon" not in page
