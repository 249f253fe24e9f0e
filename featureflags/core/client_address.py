"""Which client a request comes from, by its address: for the throttling of logins and API keys."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from django.http import HttpRequest

from featureflags.core.conf import app_settings

PREFIX_OF_ONE_CLIENT = 64
"""The bits of an IPv6 address that a provider gives to one customer (RFC 6177)."""

WITH_PORT: Final = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::\d*)?")
"""As some proxies write it: 192.0.2.1:50000, [2001:db8::1]:50000."""


def client_address(request: HttpRequest) -> str:
    """The address of the client; of IPv6 its network of 64 bits. Empty if there is none.

    `TRUSTED_PROXIES` says how many proxies of ours are in front. Each adds the address that it saw to
    the end of X-Forwarded-For, so that many entries from the end are true; what a client sent comes
    before them and is not used.
    """
    address = str(request.META.get("REMOTE_ADDR") or "")
    count = app_settings().trusted_proxies
    if count:
        given = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")]
        address = given[-count] if len(given) >= count and given[-count] else address
    return _network(address)


def _network(address: str) -> str:
    found = WITH_PORT.fullmatch(address)
    try:
        parsed = ipaddress.ip_address(address if found is None else found[1] or found[2])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    network = ipaddress.ip_network((int(parsed), PREFIX_OF_ONE_CLIENT), strict=False)
    return str(network.network_address)
