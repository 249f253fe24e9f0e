"""The address of a client behind proxies: by how many of them are ours, whatever the client has written."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from featureflags.core.client_address import client_address
from tests.featureflags.api.using import use

PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", PROXY),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", PROXY),
        (1, "", PROXY),
        (1, "198.51.100.1,", PROXY),
        # Some proxies write the port of the client too.
        (1, "203.0.113.9:50000", "203.0.113.9"),
        (1, "[2001:db8::1]:50000", "2001:db8::"),
        (1, "[2001:db8::1]", "2001:db8::"),
        (1, "2001:db8::1", "2001:db8::"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "unknown", ""),
        (1, "203.0.113.9:x", ""),
    ],
)
def test_it(
    rf: RequestFactory, settings: Settings, proxies: int, forwarded: str, expected: str
) -> None:
    use(settings, TRUSTED_PROXIES=proxies)
    request = rf.get("/", REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == expected
