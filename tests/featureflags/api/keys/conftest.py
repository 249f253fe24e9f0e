"""Nothing is known of keys and counts before a test, nor after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featureflags.api import keys, throttling
from tests.conftest import FlagFile
from tests.services.flag_json import boolean_flag


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    keys.forget_keys()
    throttling.forget_counts()
    yield
    keys.forget_keys()
    throttling.forget_counts()


@pytest.fixture
def browser_flags(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout"), boolean_flag("internal-tools"))
