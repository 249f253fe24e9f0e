"""What the tests of the connection ask: one flag, for one context, of this process's client."""

from __future__ import annotations

from ldclient import Context

from featureflags.core.types import JSONValue
from featureflags.launchdarkly.client import client
from tests.services.waiting import PATIENCE_SECONDS, wait_until

USER = Context.create("ada")
ARRIVES = PATIENCE_SECONDS
"""Seconds that a change may take on a machine that is busy with other tests."""


def ask(key: str = "beta", default: JSONValue = None) -> JSONValue:
    value: JSONValue = client().variation(key, USER, default)
    return value


def wait_for(expected: JSONValue, key: str = "beta") -> None:
    wait_until(lambda: ask(key) is expected, timeout=ARRIVES, what=f"{key} to be {expected!r}")
