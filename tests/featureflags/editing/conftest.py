"""LaunchDarkly's SDK, whose answers are the right ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.featureflags.segments.sdk import Sdk


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()
