"""IP addresses and ranges of them (CIDR), of both versions, as texts.

An IPv4 address that is written as one of IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAPPED_BITS: Final = 96
"""Before the IPv4 address in `::ffff:10.0.0.1`."""


def parse_range(value: object) -> Network | None:
    """`10.0.0.0/8`, `2001:db8::/32` or a single address; None for anything else.

    None too for an address inside a range, `10.0.0.1/8`: see `range_around`.
    """
    return _range(value, strict=True)


def range_around(value: object) -> Network | None:
    """The range that an address inside it was written for; None if it was not."""
    return None if parse_range(value) is not None else _range(value, strict=False)


def _range(value: object, *, strict: bool) -> Network | None:
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        found = ip_network(value, strict=strict)
    except ValueError:
        return None
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS), strict=False)
    return found


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """An address, without a port or a zone; None for anything else."""
    if "%" in text:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
