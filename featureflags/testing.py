"""Helpers for the tests of a project: `pytest_plugins = ["featureflags.testing"]` in conftest.py.

`override_flag` is a context manager and a decorator; the fixture `flag_overrides` sets flags until
the test ends:

    def test_checkout(client, flag_overrides):
        flag_overrides("new-checkout", True)

`override_flag(…, process_wide=True)` is for a live server, which answers in another thread. With
`FEATUREFLAGS["SOURCE"] = "test-data"` flags come from `sdk_test_data()`, the SDK's own `TestData`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from featureflags.core.types import JSONValue
from featureflags.flags.declared import Flag
from featureflags.flags.overrides import override_flag
from featureflags.launchdarkly.sdk_config import sdk_test_data

__all__ = ["FlagOverrides", "flag_overrides", "override_flag", "sdk_test_data"]

FlagOverrides = Callable[[str | Flag, JSONValue], None]


@pytest.fixture
def flag_overrides() -> Iterator[FlagOverrides]:
    """A function that overrides a flag for the rest of the test."""
    with ExitStack() as stack:

        def override(flag: str | Flag, value: JSONValue) -> None:
            stack.enter_context(override_flag(flag, value))

        yield override
