"""The pages of flags, and what the tests read from them."""

from __future__ import annotations

from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.factories import UserFactory


def as_one_who_may(client: Client, *codenames: str) -> Client:
    user = UserFactory.create(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def page_of(flag: str) -> str:
    return reverse("admin:featureflags_flag", args=[flag])


def counting(flag: str) -> str:
    return reverse("admin:featureflags_flag_count", args=[flag])
