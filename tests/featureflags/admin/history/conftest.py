"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest
from django.test import Client

from featureflags.models import Segment
from featureflags.models.changesets import open_changeset
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.admin.history.pages import PRO
from users.models import User


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> FlagFile:
    flag_file()
    return flag_file


@pytest.fixture
def root() -> User:
    return UserFactory.create(superuser=True, email="root@agpt.co", name="Root")


@pytest.fixture
def staff(client: Client, root: User) -> Client:
    client.force_login(root)
    return client


@pytest.fixture
def paying(root: User) -> Segment:
    with open_changeset(actor=root, note="For <sales>", source="admin"):
        return SegmentFactory.create(key="paying", name="Paying", rules=PRO)
