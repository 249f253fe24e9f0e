"""The pages that explain, and what the tests read from them."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from tests.factories import UserFactory
from users.models import User

VIEWER = ("view_segment", "view_user")


def ada(**fields: Any) -> User:
    return UserFactory.create(email="ada@agpt.co", name="Ada", **fields)


def why_flag(key: str, user: User) -> str:
    return reverse("admin:featureflags_why_flag", args=[key, user.pk])
