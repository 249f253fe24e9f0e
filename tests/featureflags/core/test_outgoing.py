"""Where a webhook may lead: public addresses alone, looked at and connected to in one resolution."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from featureflags.core.outgoing import Refused, is_public, post, target_of

REFUSED = (
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("0.0.0.0", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2002:7f00:1::8.8.8.8"),
    # Compatible and translated IPv4, NAT64 of one's own network, old site-local addresses.
    *("::7f00:1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1", "5f00::1"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")


@pytest.mark.parametrize("address", REFUSED)
def test_this_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_this_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]:8000/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
    ],
)
def test_loopback_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(Refused, match="not public"):
        post(url, b"{}", {})


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://hooks.example.com/",
            "ftp://hooks.example.com/",
            "file:///etc/passwd",
            "https://",
        ),
        *(
            "https://user:secret@hooks.example.com/",
            "https://hooks.example.com:99999/",
            "https://[",
        ),
        *("//hooks.example.com/", "", "https://:443/"),
    ],
)
def test_this_is_no_address_of_a_webhook(url: str) -> None:
    with pytest.raises(Refused):
        target_of(url)


def test_text_that_would_add_a_header_is_encoded() -> None:
    target = target_of("https://hooks.example.com/a b?c=ü")
    assert target.path == "/a%20b?c=%C3%BC"


class Names:
    """Resolves a name to one address after another, and notes where connections go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.connected: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)
        monkeypatch.setattr(socket, "create_connection", self.connect)

    def resolve(self, _host: str, port: int, **_options: Any) -> list[Any]:
        found = self.answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    def connect(self, address: tuple[str, int], _seconds: float) -> socket.socket:
        self.connected.append(address[0])
        raise ConnectionRefusedError


def test_a_name_that_changes_its_address_leads_to_what_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    with pytest.raises(ConnectionRefusedError):
        post("https://rebind.example.com/", b"{}", {})
    assert names.connected == ["8.8.8.8"]
    assert names.answers == [["127.0.0.1"]]


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Refused, match="not public"):
        post("https://mixed.example.com/", b"{}", {})
    assert names.connected == []


def test_each_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["2606:4700::1111", "8.8.8.8"])
    with pytest.raises(ConnectionRefusedError):
        post("https://dual.example.com/", b"{}", {})
    assert names.connected == ["2606:4700::1111", "8.8.8.8"]
