"""Keys that are wrong, expired or revoked, keys without a database, and where a key may be seen."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.api import keys
from featureflags.models import ApiKey, Scope
from featureflags.models.api_keys import USED_EVERY
from tests.factories import UserFactory, token_for
from tests.featureflags.api.keys.callers import FLAGS, ME, caller, row_of
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "header",
    [
        "Bearer ",
        "Bearer nonsense",
        "Bearer ü",
        "Token abc",
        "bearer gdn_a_b",
        "Bearer a b",
        "Digest x",
    ],
)
def test_a_wrong_key_is_401(header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    for path in (ME, FLAGS):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_wrong_key_is_not_saved_by_a_session() -> None:
    client = caller("nonsense")
    client.force_login(UserFactory.create())
    assert client.get(ME).status_code == 401


def test_the_password_of_a_proxy_does_not_disturb_a_session() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Basic c3RhZ2luZzpzdGFnaW5n")
    client.force_login(UserFactory.create())
    assert client.get(ME).status_code == 200


def test_the_other_header_works_as_well() -> None:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=token_for(UserFactory.create()))
    assert client.get(ME).status_code == 200


def test_an_expired_key_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_for(UserFactory.create(), expires_at=timezone.now() + datetime.timedelta(hours=1))
    client = caller(token)
    assert client.get(ME).status_code == 200
    later = timezone.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr("featureflags.api.keys.timezone.now", lambda: later)
    refused = client.get(ME)
    assert (refused.status_code, refused.json()["detail"]) == (401, "This API key has expired.")


def test_a_revoked_key_ends_at_once_here_and_within_seconds_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = token_for(UserFactory.create())
    client = caller(token)
    assert client.get(ME).status_code == 200
    # As another process revokes it: this one gets no signal.
    ApiKey.objects.update(is_active=False)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    assert client.get(ME).status_code == 401
    monkeypatch.undo()
    ApiKey.objects.update(is_active=True)
    assert client.get(ME).status_code == 200
    row = row_of(token)
    row.is_active = False
    row.save()
    assert client.get(ME).status_code == 401


def test_the_owner_s_account_is_read_each_time() -> None:
    owner = UserFactory.create()
    client = caller(token_for(owner))
    assert client.get(ME).status_code == 200
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(ME).status_code == 401


def test_a_known_key_costs_no_query(django_assert_num_queries: Callable[[int], Any]) -> None:
    token = token_for()
    keys.find_key(token)
    with django_assert_num_queries(0):
        keys.find_key(token)


def test_what_is_wrong_is_never_kept() -> None:
    for number in range(50):
        with pytest.raises(keys.KeyRefused):
            keys.find_key(f"nonsense-{number}")
    assert not keys._known


def failing(*_args: Any) -> None:
    raise OperationalError("server closed the connection unexpectedly")


def test_without_the_database_a_known_key_still_evaluates(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluates, reads = token_for(), token_for(UserFactory.create(), Scope.READ)
    for token in (evaluates, reads):
        keys.find_key(token)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    with connection.execute_wrapper(failing):
        assert keys.find_key(evaluates).scope is Scope.EVALUATE
        with pytest.raises(OperationalError):
            keys.find_key(reads)
        keys.forget_keys()
        with pytest.raises(OperationalError):
            keys.find_key(evaluates)


def test_a_key_is_not_trusted_for_ever_without_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = token_for()
    keys.find_key(token)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(keys, "OUTAGE_SECONDS", 0.0)
    with connection.execute_wrapper(failing), pytest.raises(OperationalError):
        keys.find_key(token)


def test_last_use_is_written_once_in_a_while(
    django_assert_num_queries: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_for()
    keys.find_key(token)
    first = row_of(token).last_used_at
    assert first is not None
    keys.forget_keys()
    keys.find_key(token)
    assert row_of(token).last_used_at == first
    later = monotonic() + USED_EVERY.total_seconds()
    monkeypatch.setattr("featureflags.api.keys.monotonic", lambda: later)
    ApiKey.objects.update(last_used_at=timezone.now() - USED_EVERY)
    keys.find_key(token)
    last = row_of(token).last_used_at
    assert last is not None
    assert last > first


def test_no_token_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    token = token_for(UserFactory.create(), Scope.READ)
    secret = token.split("_", 2)[2]
    with caplog.at_level(logging.DEBUG):
        caller(token).get(ME)
        caller(token).patch(ME, {"name": "x"})
        caller(token + "x").get(ME)
        with connection.execute_wrapper(failing):
            keys.forget_keys()
            caller(token).get(ME)
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name != "django.db.backends"
    )
    assert logged
    assert secret not in logged
