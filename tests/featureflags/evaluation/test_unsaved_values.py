"""Loaded users whose fields Django would convert on save: the answer is the one of the saved user."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import Degradation
from featureflags.evaluation import is_enabled, variation_detail
from featureflags.evaluation.resolve import resolve
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.launchdarkly import boolean_flag
from users.models import Role

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "8a2c9f6e-1f0b-4c57-9a3e-2f6d1c0b7e5a"

CONVERTED: list[tuple[str, Any]] = [
    ("created_at", datetime.datetime(2020, 1, 1)),  # noqa: DTZ001 - what careless code sets
    ("created_at", "2020-01-01T00:00:00Z"),
    ("created_at", "2020-01-01 00:00:00"),
    ("created_at", datetime.date(2020, 1, 1)),
    ("last_seen_at", datetime.datetime(2020, 1, 1)),  # noqa: DTZ001
    ("last_seen_at", "2020-01-01T00:00:00+02:00"),
    ("name", gettext_lazy("User")),
    ("name", mark_safe("Ada")),
    ("name", 5),
    ("role", Role.ADMIN),
    ("role", gettext_lazy("user")),
    ("email", lambda email: mark_safe(email.upper())),
    ("email_verified", "True"),
    ("email_verified", 1),
    ("is_staff", "False"),
    ("is_active", 0),
]

UNREADABLE: list[tuple[str, Any]] = [
    ("created_at", None),
    ("created_at", Now()),
    ("created_at", "yesterday"),
    ("last_seen_at", Now()),
    ("email", None),
    ("email", F("name")),
    ("name", None),
    ("role", F("name")),
    ("is_staff", None),
    ("email_verified", "perhaps"),
    ("email_verified", "true"),
    ("metadata", None),
    ("metadata", F("metadata")),
    ("metadata", "text"),
    ("metadata", ["list"]),
]


@pytest.mark.filterwarnings("ignore:.*received a naive datetime")
@pytest.mark.parametrize(("field", "value"), CONVERTED)
def test_it_is_converted_as_a_save_does(field: str, value: Any) -> None:
    user = UserFactory.create()
    setattr(user, field, value(getattr(user, field)) if callable(value) else value)
    before = resolve(user)
    user.save()
    assert before.degraded == ()
    assert before.context.to_dict() == resolve(str(user.pk)).context.to_dict()


@pytest.mark.parametrize(("field", "value"), UNREADABLE)
@pytest.mark.parametrize("is_saved", [True, False])
def test_it_gives_a_degraded_answer(
    flag_file: FlagFile, field: str, value: Any, is_saved: bool
) -> None:
    flag_file(boolean_flag("beta", fallthrough=True))
    user = UserFactory.create() if is_saved else UserFactory.build()
    setattr(user, field, value)
    assert is_enabled("beta", user)
    expected = [] if is_saved else [Degradation.NO_SUCH_USER]
    assert list(variation_detail("beta", user).degraded) == [
        *expected,
        Degradation.USER_UNREADABLE,
    ]


def test_a_number_that_json_cannot_hold(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta", fallthrough=True))
    user = UserFactory.create()
    user.metadata = {"price": Decimal("1.5"), "plan": "paid"}
    with pytest.raises(ValueError, match="custom_price"):
        is_enabled("beta", user)


@pytest.mark.parametrize("key", [KEY, KEY.upper()])
def test_a_key_as_text(flag_file: FlagFile, key: str) -> None:
    flag_file(boolean_flag("beta", fallthrough=True))
    user = UserFactory.build(id=key)
    with unit_of_work():
        assert resolve(user).context.key == key.lower()
        assert is_enabled("beta", user)
        assert is_enabled("beta", user)


def test_a_user_without_a_key() -> None:
    with pytest.raises(ValueError, match="no primary key"):
        is_enabled("beta", UserFactory.build(id=None))
