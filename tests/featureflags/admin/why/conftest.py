"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.admin.why.pages import VIEWER


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file()


@pytest.fixture
def viewer(client: Client) -> Client:
    """A viewer may read everything here."""
    user = UserFactory.create(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=VIEWER))
    client.force_login(user)
    return client
