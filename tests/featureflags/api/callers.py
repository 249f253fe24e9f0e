"""Everybody who may ask the API, by session and by key."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import Permission
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.models import ApiKey, Scope
from tests.factories import UserFactory, token_for
from users.models import User

CALLERS: Final = (
    *("anonymous", "user", "viewer", "editor", "superuser"),
    *("evaluate", "read", "write", "read of a user", "write of a user", "write of a viewer"),
    *("expired", "revoked", "session without CSRF"),
)
"""The first five by session. A key's owner is the superuser where none is named; a session without a
CSRF token is the superuser's."""


def staff(*prefixes: str) -> User:
    user = UserFactory.create(is_staff=True)
    wanted = [
        one
        for one in Permission.objects.filter(content_type__app_label__in=["featureflags", "users"])
        if one.codename.startswith(prefixes)
    ]
    user.user_permissions.set(wanted)
    return user


Caller = tuple[APIClient, User | None]
"""Who asks, and whose they are."""


def by_session(user: User, *, csrf: bool = True) -> Caller:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    if csrf:
        client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
        client.defaults["HTTP_X_CSRFTOKEN"] = "a" * 32
    return client, user


def by_key(owner: User | None, scope: Scope) -> Caller:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(owner, scope)}")
    return client, owner


def root() -> User:
    return UserFactory.create(superuser=True)


def expired() -> Caller:
    caller = by_key(root(), Scope.WRITE)
    newest().update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    return caller


def newest() -> Any:
    return ApiKey.objects.filter(pk=ApiKey.objects.latest("pk").pk)


def revoked() -> Caller:
    caller = by_key(root(), Scope.WRITE)
    newest().update(is_active=False)
    return caller


AS: Final[dict[str, Callable[[], Caller]]] = {
    "anonymous": lambda: (APIClient(enforce_csrf_checks=True), None),
    "user": lambda: by_session(UserFactory.create()),
    "viewer": lambda: by_session(staff("view_")),
    "editor": lambda: by_session(staff("view_", "add_", "change_", "delete_")),
    "superuser": lambda: by_session(root()),
    "evaluate": lambda: by_key(None, Scope.EVALUATE),
    "read": lambda: by_key(root(), Scope.READ),
    "write": lambda: by_key(root(), Scope.WRITE),
    "read of a user": lambda: by_key(UserFactory.create(), Scope.READ),
    "write of a user": lambda: by_key(UserFactory.create(), Scope.WRITE),
    "write of a viewer": lambda: by_key(staff("view_"), Scope.WRITE),
    "expired": expired,
    "revoked": revoked,
    "session without CSRF": lambda: by_session(root(), csrf=False),
}
