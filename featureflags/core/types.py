"""The plain values that every layer of featureflags shares. It imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"
"""Anything that JSON can say. Numbers are finite."""

Attributes: TypeAlias = Mapping[str, JSONValue]
"""Attribute name → value, as rules test them and LaunchDarkly sees them."""

MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND
"""A day is 24 hours, whatever the calendar says."""

Account: TypeAlias = Any
"""A row of the project's user model (`AUTH_USER_MODEL`): its class is not known here."""

AccountKey: TypeAlias = Any
"""The primary key of such a row, as its column holds it."""

REQUEST_ID: Final = "GUIDON_REQUEST_ID"
"""In `request.META`: the id of the request, where the project gives it one."""
