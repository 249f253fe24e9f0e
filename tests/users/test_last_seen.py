"""`last_seen_at`: at most once an hour, by session or key, and never at the price of an answer."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.db import OperationalError, connection, connections
from django.test import AsyncClient, Client
from django.utils import timezone

from tests.factories import UserFactory, token_for
from users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.users.urls")]

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def user(client: Client) -> User:
    found = UserFactory.create()
    client.force_login(found)
    return found


def last_seen(user: User) -> datetime.datetime | None:
    seen: datetime.datetime | None
    seen = User.objects.values_list("last_seen_at", flat=True).get(pk=user.pk)
    return seen


def age(user: User, by: datetime.timedelta) -> datetime.datetime:
    seen = timezone.now() - by
    User.objects.filter(pk=user.pk).update(last_seen_at=seen)
    cache.delete(f"seen:{user.pk}")
    return seen


@pytest.mark.parametrize("path", ["/plain/", "/user/"])
def test_a_request_notes_it(client: Client, user: User, path: str) -> None:
    client.get(path)
    seen = last_seen(user)
    assert seen is not None
    assert timezone.now() - seen < datetime.timedelta(minutes=1)


@pytest.mark.parametrize("path", ["/plain/", "/user/"])
def test_at_most_once_an_hour(client: Client, user: User, path: str) -> None:
    seen = age(user, HOUR - datetime.timedelta(seconds=30))
    client.get(path)
    assert last_seen(user) == seen
    age(user, HOUR + datetime.timedelta(seconds=30))
    client.get(path)
    assert last_seen(user) != seen


def test_a_page_that_does_not_look_at_its_user_costs_no_query(
    client: Client, user: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    client.get("/plain/")
    with django_assert_num_queries(0):
        client.get("/plain/")


def test_within_the_hour_a_page_costs_its_user_alone(
    client: Client, user: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    client.get("/user/")
    with django_assert_num_queries(1):
        client.get("/user/")


def test_nobody_s_request_notes_nothing(client: Client) -> None:
    other = UserFactory.create()
    client.get("/user/")
    assert last_seen(other) is None


def test_the_owner_of_a_key_is_seen_too(client: Client) -> None:
    user = UserFactory.create()
    client.get("/api/", headers={"Authorization": f"Bearer {token_for(user)}"})
    assert last_seen(user) is not None


def test_a_database_that_is_down_costs_no_answer(client: Client, user: User) -> None:
    def fail(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    client.get("/plain/")
    cache.delete(f"seen:{user.pk}")
    with connection.execute_wrapper(fail):
        assert client.get("/plain/").status_code == 200


async def test_async_requests_note_it(aclient: AsyncClient) -> None:
    user = await sync_to_async(UserFactory.create)()
    await aclient.aforce_login(user)
    await aclient.get("/async/")
    assert await sync_to_async(last_seen)(user) is not None


@pytest.fixture
async def aclient() -> AsyncIterator[AsyncClient]:
    yield AsyncClient()
    await sync_to_async(connections.close_all)()


def test_two_requests_at_once_write_once(user: User) -> None:
    now = timezone.now()
    assert User.objects.mark_seen(str(user.pk), now)
    assert not User.objects.mark_seen(str(user.pk), now)
