"""Keys of programs: what is stored, what a token finds, what is refused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from featureflags.models import ApiKey, Scope
from featureflags.models.api_keys import USED_EVERY, prefix_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def issued(**fields: Any) -> tuple[ApiKey, str]:
    key = ApiKey(**{"name": "shop", **fields})
    token = key.issue()
    key.full_clean()
    key.save()
    return key, token


def test_a_token_finds_its_key_and_no_other() -> None:
    key, token = issued()
    issued(name="other")
    assert ApiKey.objects.by_token(token) == key
    other_end = "A" if token[-1] != "A" else "B"
    for wrong in (token[:-1] + other_end, token + "A", token[:-1], "", "Bearer " + token, "ü"):
        assert ApiKey.objects.by_token(wrong) is None


def test_the_token_is_nowhere_in_the_table() -> None:
    key, token = issued()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM featureflags_apikey")
        stored = str(cursor.fetchall())
    secret = token.split("_", 2)[2]
    assert secret not in stored
    assert secret not in f"{key!r} {key} {key.as_service_key()}"
    assert key.prefix in str(key)


def test_a_token_is_issued_once() -> None:
    key, _token = issued()
    with pytest.raises(ValueError, match="already"):
        key.issue()


def test_tokens_differ_and_have_one_form() -> None:
    tokens = {ApiKey().issue() for _index in range(200)}
    assert len(tokens) == 200
    assert all(prefix_of(token) for token in tokens)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flags", "new-checkout"),
        ("flags", [1]),
        ("flags", [""]),
        ("kinds", ["a\x00b"]),
        ("flags", ["x" * 257]),
        ("kinds", {"user": 1}),
        ("origins", ["shop.example.com"]),
        ("origins", ["https://shop.example.com/"]),
        ("origins", ["https://Shop.example.com"]),
        ("origins", ["null"]),
        ("origins", ["*"]),
    ],
)
def test_a_list_is_one_of_names(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        issued(**{field: value})
    assert list(refused.value.message_dict) == [field]


def test_origins_as_browsers_send_them() -> None:
    key, _token = issued(origins=["https://shop.example.com", "http://localhost:3000"])
    allowed = key.as_service_key().allows_origin
    assert allowed("http://localhost:3000")
    assert not allowed("http://localhost:3001")
    assert not allowed(None)
    assert issued()[0].as_service_key().allows_origin(None)


def test_who_reads_has_an_owner_and_who_evaluates_none() -> None:
    owner = UserFactory.create()
    for scope in (Scope.READ, Scope.WRITE):
        issued(scope=scope, owner=owner)
        with pytest.raises(ValidationError):
            issued(scope=scope)
    with pytest.raises(ValidationError):
        issued(owner=owner)
    bare = ApiKey(name="bare", scope=Scope.WRITE)
    bare.issue()
    with pytest.raises(IntegrityError), transaction.atomic():
        bare.save()


def test_a_key_goes_with_its_owner() -> None:
    owner = UserFactory.create()
    _key, token = issued(scope=Scope.READ, owner=owner)
    owner.delete()
    assert ApiKey.objects.by_token(token) is None


def test_scopes_include_those_before() -> None:
    assert [[one.includes(other) for other in Scope] for one in Scope] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_last_use_is_written_once_in_a_while() -> None:
    key, _token = issued()
    now = timezone.now()
    for at in (now, now + USED_EVERY - datetime.timedelta(seconds=1)):
        ApiKey.objects.note_used(key.pk, at)
    key.refresh_from_db()
    assert key.last_used_at == now
    ApiKey.objects.note_used(key.pk, now + USED_EVERY)
    key.refresh_from_db()
    assert key.last_used_at == now + USED_EVERY
