"""The kinds of this folder are declared, and their triggers installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from featureflags.capture import installation
from featureflags.kinds.registry import kinds
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.unusual_models.declarations import KINDS


@pytest.fixture(autouse=True)
def watched(transactional_db: None) -> Iterator[None]:
    with declared(*KINDS):
        assert [kind.problems for kind in kinds()] == [[]] * len(KINDS)
        installation.install(connection)
        assert installation.problems(connection) == []
        yield
    installation.install(connection)
