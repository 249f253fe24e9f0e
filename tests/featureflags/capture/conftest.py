"""Triggers and ears for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.backends.signals import connection_created

from featureflags.capture import installation, own_writes


@pytest.fixture(autouse=True)
def installed(transactional_db: None) -> Iterator[None]:
    connection_created.connect(own_writes.attach)
    connection.close()
    installation.install(connection)
    yield
    connection_created.disconnect(own_writes.attach)
    installation.remove(connection)
    connection.close()
