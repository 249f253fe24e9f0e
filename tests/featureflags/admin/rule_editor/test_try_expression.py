"""A regular expression tried on an example: RE2 answers, and nothing is saved."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.browser.conftest import person_with

pytestmark = pytest.mark.django_db

ADDRESS = reverse("admin:featureflags_try_expression")


@pytest.fixture
def looker(client: Client) -> Client:
    client.force_login(person_with("view_segment", email="looker@agpt.co"))
    return client


def ask(client: Client, *patterns: str, text: str, **more: str) -> list[dict[str, Any]]:
    response = client.post(ADDRESS, {"pattern": list(patterns), "text": text, **more})
    assert response.status_code == 200
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def test_each_expression_is_answered(looker: Client) -> None:
    assert ask(looker, "^qa[0-9]+@", "x$", "(", text="qa7@agpt.co") == [
        {"matches": True, "words": '"^qa[0-9]+@" matches.'},
        {"matches": False, "words": '"x$" does not match.'},
        {"matches": None, "words": '"(" is not a valid expression: missing ): ('},
    ]
    assert ask(looker, "^QA", text="qa7")[0]["matches"] is False
    assert ask(looker, "^QA", text="qa7", ignore_case="on")[0]["matches"] is True
    assert ask(looker, text="qa7") == []


def test_it_is_re2_that_answers(looker: Client) -> None:
    assert ask(looker, r"^\d$", text="٣")[0]["matches"] is False
    assert ask(looker, "a(?=b)", text="ab")[0]["matches"] is None


def test_no_expression_makes_it_hang(looker: Client) -> None:
    assert ask(looker, "(a*)*b", text="a" * 10_000)[0]["matches"] is False
    assert ask(looker, "x", text="a" * 10_001)[0]["matches"] is None


def test_it_takes_a_permission_and_a_post(client: Client, looker: Client) -> None:
    assert looker.get(ADDRESS).status_code == 405
    client.force_login(person_with("view_user", email="other@agpt.co"))
    assert client.post(ADDRESS, {"pattern": "a", "text": "a"}).status_code == 403
