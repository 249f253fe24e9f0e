"""Suggestions from stored users: keys, types, and values that identify nobody."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from featureflags.audience import attribute_values as module
from featureflags.audience.attribute_values import suggestions
from tests.emptying import empty_caches
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def named(settings: Settings) -> None:
    """The metadata that LaunchDarkly may have; of the rest no value is suggested."""
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "LAUNCHDARKLY_ATTRIBUTES": ["*", "custom_plan", "custom_tags", "custom_a"],
    }


def test_keys_types_and_frequent_values_of_metadata() -> None:
    for number in range(3):
        UserFactory.create(
            metadata={"plan": "pro", "seats": number, "trial": True, "tags": ["a", "b"], "f": 1.5}
        )
    UserFactory.create(metadata={"plan": "team", "seats": "many", "trial": None})
    found = suggestions()
    assert found["custom_plan"].types == ("string",)
    assert found["custom_plan"].values == ("pro",)
    assert found["custom_seats"].types == ("number", "string")
    assert found["custom_trial"].types == ("boolean",)
    assert found["custom_f"].types == ("number",)
    assert (found["custom_tags"].types, found["custom_tags"].values) == (("list",), ("a", "b"))
    assert set(found["email_domain"].values) == {"example.com"}


def test_private_and_withheld_values_are_not_suggested() -> None:
    for _ in range(3):
        UserFactory.create(
            name="Same name",
            metadata={"email": "a@b.example", "bio": "text", "ip": "10.0.0.1", "note": "x" * 65},
        )
    found = suggestions()
    for name in ("name", "email", "key", "custom_email", "custom_bio", "custom_ip", "custom_note"):
        assert found[name].values == (), name
    assert "custom_bio" in found


def test_they_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEYS", 2)
    monkeypatch.setattr(module, "MOST_VALUES", 3)
    monkeypatch.setattr(module, "SAMPLED", 10)
    for number in range(12):
        UserFactory.create(metadata={"a": str(number % 5), "b": 1, f"key{number}": "x" * 200})
    found = suggestions()
    assert [name for name in found if name.startswith("custom_")] == ["custom_a", "custom_b"]
    assert len(found["custom_a"].values) == 3


def test_they_are_read_once_in_a_while() -> None:
    UserFactory.create(metadata={"plan": "pro"})
    first = suggestions()
    UserFactory.create(metadata={"other": "pro"})
    with CaptureQueriesContext(connection) as captured:
        assert suggestions() == first
    assert len(captured) == 0
    empty_caches("default")
    assert "custom_other" in suggestions()


def test_texts_that_are_dates_or_versions_are_told_apart() -> None:
    texts = {
        "day": "1990-05-17",
        "at": "2026-01-01T10:00:00Z",
        "app": "2.1.0",
        "no": "2",
        "odd": "1.2.3.4",
    }
    UserFactory.create(metadata={**texts, "nested": {"x": 1}})
    found = suggestions()
    types = {name: found[f"custom_{name}"].types for name in (*texts, "nested")}
    assert types == {
        "day": ("datetime",),
        "at": ("datetime",),
        "app": ("semver",),
        "no": ("string",),
        "odd": ("string",),
        "nested": ("other",),
    }
