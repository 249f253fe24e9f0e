"""Requests to an address that a person gave: public hosts only, no redirect, a bound on everything.

The name is resolved once, all its addresses are looked at, and the connection goes to one of these: a
name that resolves to something else a moment later leads nowhere. No proxy is used.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from django.utils.encoding import iri_to_uri

from featureflags.core.names import addresses

CONNECT_SECONDS: Final = 3.0
SECONDS: Final = 10.0
"""For a whole notification, however slowly the other side reads and writes."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS: Final = {"https": 443, "http": 80}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """Nothing was sent: the address is not one that may be sent to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parsed address."""

    host: str
    port: int
    path: str
    is_tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. The names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TooLarge(Exception):
    """The answer is larger than the caller takes."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, private_too: bool = False) -> Answer:
    """The answer without its body, which is not read. Raises as `exchange`."""
    return exchange(
        "POST", url, body, headers, most_bytes=0, private_too=private_too, seconds=SECONDS
    )


def exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    most_bytes: int,
    private_too: bool = False,
    seconds: float,
) -> Answer:
    """The answer. Raises Refused, OSError, http.client.HTTPException, and TooLarge.

    `most_bytes`: the largest body; 0: it is not read. `private_too`: also to addresses that are not
    public, and by http. `seconds`: for all of it.
    """
    ends = time.monotonic() + seconds
    target = target_of(url, private_too=private_too)
    connection = _Pinned(target, resolve(target, private_too=private_too), ends)
    try:
        connection.connect()
        with _ended_at(connection.sock, ends):
            connection.request(method, target.path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read(most_bytes + 1) if most_bytes else b""
            if len(content) > most_bytes:
                raise TooLarge
            return Answer(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=content,
            )
    finally:
        connection.close()


def target_of(url: str, *, private_too: bool = False) -> Target:
    """Raises Refused for an address that is not https, or that names a user."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        raise Refused("The address is not valid.") from None
    if parts.scheme != "https" and not (private_too and parts.scheme == "http"):
        raise Refused("The address must begin with https://.")
    if not host or "@" in parts.netloc:
        raise Refused("The address needs a host, and must not name a user.")
    path = iri_to_uri(parts.path or "/") + (f"?{iri_to_uri(parts.query)}" if parts.query else "")
    is_tls = parts.scheme == "https"
    return Target(host=host, port=port or _PORTS[parts.scheme], path=path, is_tls=is_tls)


def resolve(target: Target, *, private_too: bool = False) -> list[str]:
    """The addresses of a host. Raises Refused if one of them is not public, OSError without any, or without
    an answer of a name server in time."""
    found = addresses(target.host, target.port, seconds=CONNECT_SECONDS)
    if not private_too and not all(is_public(each) for each in found):
        raise Refused("The host has an address that is not public.")
    return found


def is_public(text: str) -> bool:
    """False for loopback, private, link-local, multicast and reserved addresses, in any wrapping."""
    address = ipaddress.ip_address(text.partition("%")[0])
    wrapped = _wrapped(address)
    # Most that wrap an IPv4 address lie in a reserved block: these are judged by that address.
    judged = wrapped if wrapped and address.is_reserved else [address, *wrapped]
    return all(
        each.is_global
        and not each.is_multicast
        and not each.is_reserved
        and not (isinstance(each, ipaddress.IPv6Address) and each.is_site_local)
        for each in judged
    )


def _wrapped(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    found += address.teredo or ()
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


@cache
def _tls() -> ssl.SSLContext:
    """Made at the first use: to read the system's certificates takes 18 ms."""
    return ssl.create_default_context()


class _Pinned(http.client.HTTPConnection):
    """Connects to the given addresses of its host, one after another, and to nothing else."""

    def __init__(self, target: Target, addresses: list[str], ends: float) -> None:
        self._seconds = max(0.1, ends - time.monotonic())
        super().__init__(target.host, target.port, timeout=self._seconds)
        self._target, self._addresses, self._ends = target, addresses, ends

    def connect(self) -> None:
        failure: OSError = OSError("The host has no address.")
        for address in self._addresses:
            left = min(CONNECT_SECONDS, self._ends - time.monotonic())
            if left <= 0:
                raise TimeoutError
            try:
                self.sock = socket.create_connection((address, self.port), left)
                break
            except OSError as error:
                failure = error
        else:
            raise failure
        self.sock.settimeout(self._seconds)
        if self._target.is_tls:
            with _ended_at(self.sock, self._ends):
                self.sock = _tls().wrap_socket(self.sock, server_hostname=self.host)


class _ended_at:  # noqa: N801 - used as a statement
    """Shuts the connection at an instant. A time-out of a socket begins anew with each byte."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        # Of its own descriptor: the one of TLS is not for two threads.
        self._twin = socket.socket(fileno=os.dup(sock.fileno()))
        self._timer = threading.Timer(max(0.0, ends - time.monotonic()), self._shut)

    def __enter__(self) -> None:
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_exc: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._twin.close()

    def _shut(self) -> None:
        try:
            self._twin.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster
