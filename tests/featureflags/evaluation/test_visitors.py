"""Who is not logged in: a stable key of their own, and no session for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import OperationalError, connection, connections
from django.test import AsyncClient, Client
from pytest_django.fixtures import Settings

from featureflags.contexts.results import Degradation
from featureflags.evaluation import variation
from featureflags.evaluation.resolve import resolve
from featureflags.evaluation.subjects import SALT
from tests.conftest import FlagFile
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, rollout, segment_rule, string_flag

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.featureflags.urls")]

COOKIE = "guidon_visitor"
TOOLS = boolean_flag("internal-tools", rules=[segment_rule("employee")])


@pytest.fixture
async def aclient() -> AsyncIterator[AsyncClient]:
    yield AsyncClient()
    # The thread that served synchronous code has a connection of its own.
    await sync_to_async(connections.close_all)()


def test_the_cookie_comes_only_when_a_flag_is_asked(client: Client, flag_file: FlagFile) -> None:
    response = client.get("/plain/")
    assert response.json() == {"unit": True}
    assert COOKIE not in response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")
    response = client.get("/flag/")
    cookie = response.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 365 * 24 * 3600
    assert "Cookie" in response["Vary"]


def test_the_cookie_is_secure_where_sessions_are(
    client: Client, flag_file: FlagFile, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    assert client.get("/flag/").cookies[COOKIE]["secure"]


def test_the_cookie_reaches_as_far_as_the_session_s(
    client: Client, flag_file: FlagFile, settings: Settings
) -> None:
    settings.SESSION_COOKIE_DOMAIN = ".example.com"
    settings.SESSION_COOKIE_PATH = "/flag/"
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    cookie = client.get("/flag/").cookies[COOKIE]
    assert (cookie["domain"], cookie["path"]) == (".example.com", "/flag/")
    assert cookie["samesite"] == "Strict"


class TestPageCaches:
    """A page that asked for a flag of its reader is stored for nobody else."""

    def test_of_visitors(self, flag_file: FlagFile) -> None:
        first, other = (Client().get("/cached/").json()["context"] for _ in range(2))
        assert first["key"] != other["key"]

    @pytest.mark.parametrize("url", ["/cached-lazy-user/", "/cached-own-key/"])
    def test_of_users(self, flag_file: FlagFile, url: str) -> None:
        flag_file(TOOLS)
        for is_employee in (True, False):
            client = Client()
            client.force_login(UserFactory.create(employee=is_employee))
            assert client.get(url).json() == {"on": is_employee}

    def test_of_the_whole_site(self, flag_file: FlagFile, settings: Settings) -> None:
        settings.MIDDLEWARE = [
            "django.middleware.cache.UpdateCacheMiddleware",
            *settings.MIDDLEWARE,
            "django.middleware.cache.FetchFromCacheMiddleware",
        ]
        first, other = (Client().get("/flag/").json()["context"] for _ in range(2))
        assert first["key"] != other["key"]

    def test_a_page_without_flags_is_stored(self, flag_file: FlagFile) -> None:
        with patch("tests.featureflags.urls.current_unit", return_value=None):
            assert Client().get("/cached-plain/").json() == {"unit": False}
        assert Client().get("/cached-plain/").json() == {"unit": False}, "from the cache"


def test_the_key_is_stable_and_makes_no_session(client: Client, flag_file: FlagFile) -> None:
    first = client.get("/flag/").json()["context"]
    response = client.get("/flag/")
    assert response.json()["context"] == first
    assert COOKIE not in response.cookies, "set once"
    assert first["anonymous"] is True
    assert first["anonymous_key"] == first["key"]
    assert Client().get("/flag/").json()["context"]["key"] != first["key"]
    assert not Session.objects.exists()


@pytest.mark.parametrize("forged", ["", "abc", "x:y:z", "signed, but no key"])
def test_what_a_browser_makes_up_is_not_taken(
    client: Client, flag_file: FlagFile, forged: str
) -> None:
    signed = signing.get_cookie_signer(salt=COOKIE + SALT).sign(forged)
    client.cookies[COOKIE] = signed if forged.startswith("signed") else forged
    response = client.get("/flag/")
    assert response.json()["context"]["key"] != forged
    assert COOKIE in response.cookies


def test_another_signature_is_not_taken(client: Client, flag_file: FlagFile) -> None:
    key = "0" * 32
    client.cookies[COOKIE] = signing.get_cookie_signer(salt=COOKIE + SALT).sign(key)
    assert client.get("/flag/").json()["context"]["key"] == key
    client.cookies[COOKIE] = signing.get_cookie_signer(salt="other").sign(key)
    assert client.get("/flag/").json()["context"]["key"] != key


def test_a_drf_request_is_as_good(client: Client, flag_file: FlagFile) -> None:
    response = client.get("/flag-drf/")
    assert COOKIE in response.cookies
    assert (
        client.get("/flag-drf/").json() == response.json() == client.get("/flag/").json()["context"]
    )


def test_it_stays_through_login_as_an_attribute(client: Client, flag_file: FlagFile) -> None:
    flag_file(TOOLS)
    visitor = client.get("/flag/").json()["context"]["key"]
    user = UserFactory.create(employee=True)
    client.force_login(user)
    answer = client.get("/flag/").json()
    assert answer["value"] is True
    assert answer["context"]["key"] == str(user.pk)
    assert answer["context"]["anonymous_key"] == visitor
    assert "anonymous_key" not in resolve(user).context.to_dict()


def test_a_variant_need_not_flip_at_login(flag_file: FlagFile) -> None:
    """A rollout that buckets by anonymous_key gives the user what the visitor had."""
    halves = rollout(50_000, 50_000, bucket_by="anonymous_key")
    flag_file(string_flag("half", ["plum", "teal"], fallthrough=halves))
    user = UserFactory.create()
    seen = set()
    for number in range(40):
        key = f"{number:032x}"
        before = variation("half", anonymous_key=key)
        assert variation("half", user, anonymous_key=key) == before
        seen.add(before)
    assert seen == {"plum", "teal"}


def test_request_user_passed_on_is_the_user(client: Client, flag_file: FlagFile) -> None:
    flag_file(TOOLS)
    assert client.get("/lazy-user/").json() == {"on": False}
    client.force_login(UserFactory.create(employee=True))
    assert client.get("/lazy-user/").json() == {"on": True}


async def test_async_views(aclient: AsyncClient, flag_file: FlagFile) -> None:
    flag_file(TOOLS)
    response: Any = await aclient.get("/flag-async/")
    assert response.json() == {"on": False}
    assert COOKIE in response.cookies
    user = await sync_to_async(UserFactory.create)(employee=True)
    await aclient.aforce_login(user)
    response = await aclient.get("/flag-async/")
    assert response.json() == {"on": True}


def test_with_the_database_down_the_session_still_identifies_the_user(
    client: Client, flag_file: FlagFile
) -> None:
    """The key from the session in the cache, the snapshot from the cache."""
    flag_file(TOOLS)
    user = UserFactory.create(employee=True)
    client.force_login(user)
    client.get("/flag/")
    resolve(str(user.pk))
    empty_caches("featureflags")
    resolve(str(user.pk))

    def fail(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        answer = client.get("/flag/").json()
        assert client.get("/lazy-user/").json() == {"on": True}
    assert answer["value"] is True
    assert answer["context"]["key"] == str(user.pk)
    assert answer["degraded"] == []


def test_with_database_and_cache_down_the_answer_is_degraded(
    client: Client, flag_file: FlagFile
) -> None:
    flag_file(TOOLS)
    client.force_login(UserFactory.create(employee=True))
    empty_caches()

    def fail(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        answer = client.get("/flag/").json()
    assert answer["value"] is False
    assert Degradation.SESSION_UNAVAILABLE in answer["degraded"]
