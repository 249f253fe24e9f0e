"""The user's own rules, through every way of writing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Upper
from django.test import Client

from tests.factories import UserFactory
from users.metadata import MAX_BYTES, find_problem
from users.models import User

pytestmark = pytest.mark.django_db


class TestEmail:
    def test_is_stored_in_lower_case_however_it_is_written(self) -> None:
        saved = UserFactory.create(email="Ada@Agpt.CO")
        assert saved.email == "ada@agpt.co"
        [bulk] = User.objects.bulk_create([User(email="Bob@Example.COM")])
        User.objects.filter(pk=saved.pk).update(email="ADA2@agpt.co")
        bulk.email = "BOB2@example.com"
        User.objects.bulk_update([bulk], ["email"])
        assert set(User.objects.values_list("email", flat=True)) == {
            "ada2@agpt.co",
            "bob2@example.com",
        }

    def test_the_database_refuses_upper_case_that_an_expression_made(self) -> None:
        user = UserFactory.create()
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.filter(pk=user.pk).update(email=Upper("email"))

    def test_login_folds_case(self, client: Client) -> None:
        UserFactory.create(email="ada@agpt.co", password="secret")
        assert authenticate(username="ADA@agpt.co", password="secret") is not None
        assert authenticate(username="ADA@agpt.co", password="Secret") is None
        assert client.login(username="Ada@AGPT.co", password="secret")

    def test_two_users_cannot_share_an_address_in_different_case(self) -> None:
        UserFactory.create(email="ada@agpt.co")
        with pytest.raises(IntegrityError), transaction.atomic():
            UserFactory.create(email="ADA@agpt.co")

    def test_a_user_needs_one(self) -> None:
        with pytest.raises(ValueError, match="e-mail"):
            User.objects.create_user("")


class TestVerifiedEmail:
    def test_save_clears_it_with_the_address(self) -> None:
        user = UserFactory.create(email="ada@agpt.co", email_verified=True)
        user.email = "eve@agpt.co"
        user.save()
        user.refresh_from_db()
        assert (user.email, user.email_verified) == ("eve@agpt.co", False)
        user.email_verified = True
        user.save()
        user.refresh_from_db()
        assert user.email_verified

    def test_save_of_chosen_fields_clears_it_too(self) -> None:
        user = User.objects.only("name").get(pk=UserFactory.create(email="ada@agpt.co").pk)
        user.email = "eve@agpt.co"
        user.save(update_fields=["email"])
        assert not User.objects.get(pk=user.pk).email_verified

    @pytest.mark.parametrize(
        "between",
        [
            lambda user: user.save(update_fields=["last_login"]),
            lambda user: user.refresh_from_db(fields=["name"]),
            lambda user: user.refresh_from_db(None, ["name"]),
            lambda user: user.metadata,
        ],
        ids=["save of another field", "refresh", "refresh by position", "deferred column"],
    )
    def test_what_comes_between_the_change_and_its_save_does_not_hide_it(
        self, between: Callable[[User], object]
    ) -> None:
        key = UserFactory.create(email="eve@evil.org").pk
        user = User.objects.defer("metadata").get(pk=key)
        user.email = "eve@agpt.co"
        between(user)
        user.save()
        user.refresh_from_db()
        assert (user.email, user.email_verified) == ("eve@agpt.co", False)

    def test_a_deferred_address_that_was_read_is_known(self) -> None:
        user = User.objects.only("name").get(pk=UserFactory.create(email="ada@agpt.co").pk)
        assert user.email == "ada@agpt.co"
        user.save()
        assert User.objects.get(pk=user.pk).email_verified

    def test_another_spelling_of_the_same_address_keeps_it(self) -> None:
        user = UserFactory.create(email="ada@agpt.co")
        user.email = "ADA@agpt.co"
        user.save()
        User.objects.filter(pk=user.pk).update(email="Ada@Agpt.co")
        user.refresh_from_db()
        assert user.email_verified

    def test_update_clears_it_where_the_address_changes(self) -> None:
        user = UserFactory.create(email="ada@agpt.co")
        User.objects.filter(pk=user.pk).update(email="eve@agpt.co")
        user.refresh_from_db()
        assert not user.email_verified

    def test_update_with_both_still_clears_it(self) -> None:
        user = UserFactory.create(email="ada@agpt.co")
        User.objects.filter(pk=user.pk).update(email="eve@agpt.co", email_verified=True)
        user.refresh_from_db()
        assert not user.email_verified

    def test_update_by_an_expression_clears_it(self) -> None:
        user = UserFactory.create(email="ada@agpt.co")
        User.objects.update(email=Concat(Value("x"), F("email")))
        user.refresh_from_db()
        assert (user.email, user.email_verified) == ("xada@agpt.co", False)

    def test_bulk_update_clears_it_for_those_that_changed(self) -> None:
        changed, kept = UserFactory.create_batch(2)
        changed.email = "other@example.com"
        User.objects.bulk_update([changed, kept], ["email"])
        changed.refresh_from_db()
        kept.refresh_from_db()
        assert (changed.email_verified, kept.email_verified) == (False, True)

    def test_an_upsert_cannot_change_addresses(self) -> None:
        user = UserFactory.create()
        user.email = "other@example.com"
        with pytest.raises(ValueError, match="bulk_update"):
            User.objects.bulk_create(
                [user], update_conflicts=True, update_fields=["email"], unique_fields=["id"]
            )


REFUSED: list[tuple[Any, str]] = [
    ([1], "a list"),
    ("text", "a string"),
    (None, "JSON object, not null"),
    ({"a": math.nan}, "metadata.a is nan"),
    ({"a": math.inf}, "metadata.a is inf"),
    ({"a": 10**400}, "beyond what a double"),
    ({"a": "x\x00y"}, "NUL"),
    ({"x\x00": 1}, "NUL"),
    ({"a": "\ud800"}, "surrogate"),
    ({"\udfff": 1}, "surrogate"),
    ({"a": {"b": {"c": {"d": {"e": {}}}}}}, "deeper than 5"),
    ({"a": [[[[[1]]]]]}, "deeper than 5"),
    ({"a": "é" * (MAX_BYTES // 2)}, "bytes as JSON"),
    ({1: "a"}, "not a string"),
    ({"a": {1, 2}}, "not a JSON value"),
]


class TestMetadata:
    @pytest.mark.parametrize(("metadata", "why"), REFUSED)
    def test_only_a_small_json_object_is_accepted_by_every_way_of_writing(
        self, metadata: Any, why: str
    ) -> None:
        user = UserFactory.create()
        user.metadata = metadata
        for write in (
            user.full_clean,
            user.save,
            lambda: User.objects.bulk_update([user], ["metadata"]),
            lambda: User.objects.filter(pk=user.pk).update(metadata=metadata),
            lambda: User.objects.bulk_create([User(email="n@example.com", metadata=metadata)]),
        ):
            with pytest.raises(ValidationError, match=why), transaction.atomic():
                write()
        user.refresh_from_db()
        assert user.metadata == {}

    def test_the_database_refuses_a_list_that_raw_sql_writes(self) -> None:
        user = UserFactory.create()
        key = user.pk.hex if connection.vendor == "sqlite" else str(user.pk)
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("UPDATE users_user SET metadata = '[1]' WHERE id = %s", [key])

    def test_what_is_allowed_comes_back_as_it_was(self) -> None:
        metadata = {
            "plan": "pro",
            "big": 1e22,
            "deep": {"b": {"c": {"d": [True, None, "ü", -1, 0.5]}}},
            "2024": 1,
            "a__b": "",
        }
        user = UserFactory.create(metadata=metadata)
        user.refresh_from_db()
        assert user.metadata == metadata
        assert type(user.metadata["deep"]["b"]["c"]["d"][0]) is bool

    def test_exactly_the_limit_is_allowed(self) -> None:
        frame = len('{"a":""}')
        assert find_problem({"a": "x" * (MAX_BYTES - frame)}) is None
        assert find_problem({"a": "x" * (MAX_BYTES - frame + 1)}) is not None


class TestManager:
    def test_a_superuser_may_do_everything(self) -> None:
        user = User.objects.create_superuser("root@example.com", "x")
        assert (user.is_staff, user.is_superuser, user.role) == (True, True, "admin")

    def test_without_a_password_nobody_can_log_in(self) -> None:
        user = User.objects.create_user("ada@agpt.co")
        assert not user.has_usable_password()

    def test_the_key_is_a_random_uuid(self) -> None:
        user = UserFactory.create()
        assert user.pk.version == 4
