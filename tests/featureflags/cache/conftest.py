"""What tests of the cache share: a standby of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.services.standby import Standby


@pytest.fixture(scope="session")
def standbys() -> Iterator[Callable[[], Standby]]:
    """Gives the one standby of these tests, which the first of them starts."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(Standby()))
