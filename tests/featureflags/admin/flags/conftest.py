"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.featureflags.admin.flags.pages import as_one_who_may


@pytest.fixture
def viewer(client: Client) -> Client:
    return as_one_who_may(client, "view_segment")
