"""`Idempotency-Key`: a write that is sent again is answered again, and not done again."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.models import AnsweredWrite, HistoryEntry, Segment
from featureflags.tasks import delete_answered_writes
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, token_for
from tests.users.api.conftest import Caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/segments/"
BODY = {"key": "beta", "name": "Beta"}


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> None:
    """No flag uses a segment, so that no write must be confirmed."""
    flag_file()


@pytest.fixture
def root(by_key: Caller) -> APIClient:
    return by_key(UserFactory.create(superuser=True))


def send(
    client: APIClient, key: str, body: Any = BODY, url: str = URL, method: str = "post"
) -> Any:
    return getattr(client, method)(url, body, format="json", headers={"Idempotency-Key": key})


def test_the_second_answer_is_the_first(root: APIClient) -> None:
    first, second = send(root, "a"), send(root, "a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first["ETag"] == second["ETag"]
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert HistoryEntry.objects.filter(segment_key="beta").count() == 1
    # Without the key, it is a second write.
    assert root.post(URL, BODY, format="json").status_code == 400


def test_every_method_that_writes(root: APIClient) -> None:
    SegmentFactory.create(key="old")
    one = f"{URL}old/"
    for method, body, status in (
        ("patch", {"name": "New"}, 200),
        ("delete", {"confirm": "old"}, 204),
    ):
        answers = [send(root, method, body, one, method) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [status, status]
        assert answers[0].content == answers[1].content
    assert not Segment.objects.filter(key="old").exists()


def test_another_request_with_the_key_is_refused(root: APIClient) -> None:
    SegmentFactory.create(key="old")
    send(root, "a")
    for answer in (
        send(root, "a", {**BODY, "name": "Gamma"}),
        send(root, "a", BODY, f"{URL}old/", "put"),
    ):
        assert answer.status_code == 422
        assert "Idempotency-Key" in answer.json()["errors"]
    assert Segment.objects.get(key="beta").name == "Beta"


def test_what_failed_may_be_sent_again(root: APIClient) -> None:
    SegmentFactory.create(key="beta")
    assert send(root, "a").status_code == 400
    Segment.objects.get(key="beta").delete()
    assert send(root, "a").status_code == 201
    # The answer of a caller is not that of another one.
    other = APIClient(
        headers={"authorization": f"Bearer {token_for(UserFactory.create(superuser=True))}"}
    )
    assert send(other, "a").status_code == 400


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "é"])
def test_a_key_is_visible_ascii(root: APIClient, key: str) -> None:
    answer = send(root, key)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]


def test_a_read_ignores_it_and_a_stranger_gets_no_answer(root: APIClient) -> None:
    send(root, "a")
    assert root.get(URL, headers={"Idempotency-Key": "é"}).status_code == 200
    assert send(APIClient(), "a").status_code == 401
    assert AnsweredWrite.objects.count() == 1


def test_it_is_forgotten_after_a_day(root: APIClient) -> None:
    send(root, "a")
    assert delete_answered_writes.delay().get() == 0
    old = timezone.now() - datetime.timedelta(hours=25)
    AnsweredWrite.objects.update(created_at=old)
    assert delete_answered_writes.delay().get() == 1


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one_write() -> None:
    """The second waits for the first, and gets its answer."""
    if connection.vendor == "sqlite":
        pytest.skip("an SQLite in memory has one connection")
    token = token_for(UserFactory.create(superuser=True))
    answers: list[int] = []
    together = threading.Barrier(4)

    def ask() -> None:
        client = APIClient(headers={"authorization": f"Bearer {token}"})
        together.wait()
        answers.append(send(client, "a").status_code)
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 4
    assert HistoryEntry.objects.filter(segment_key="beta").count() == 1
