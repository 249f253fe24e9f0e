"""A person with private data, a LaunchDarkly that records, and values that could break an event."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy

from featureflags.launchdarkly.client import close
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

EMAIL, NAME = "ada-sentinel@agpt.co", "Ada Sentinel"

SECRET = "withheld-sentinel"

METADATA = {
    "plan": "paid-sentinel",
    "last_ip": "198.51.100.7",
    "origin": "seen at 203.0.113.9",
    "v6": "2001:db8::5e47",
    "bio": "bio-sentinel",
    "answer": "free text is what a person wrote sentinel",
    "backup_email": "b@sentinel.example",
    "contact": "c@sentinel.example",
    "device": {"os": "linux", "seen": ["192.0.2.77"]},
    "phone": "+49-phone-sentinel",
    "birthday": "1990-sentinel",
    "iban": "DE-iban-sentinel",
    "street": "street-sentinel 5",
    "latitude": 52.5251337,
    "token": "token-sentinel",
    "vip_phone_ok": "listed-sentinel",
}

HERE = "tests.featureflags.contexts.test_privacy"


def sent(server: LaunchDarklyServer) -> str:
    """Everything that was sent, after the client has delivered it."""
    close()
    posts = [*server.deliveries(), *server.deliveries("/diagnostic")]
    return "".join(json.dumps(d.events, ensure_ascii=False) + d.text for d in posts)


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no name")

    __str__ = __repr__


def _cyclic() -> list[Any]:
    cyclic: list[Any] = []
    cyclic.extend([cyclic, cyclic])
    return cyclic


def _wide() -> list[Any]:
    wide: list[Any] = []
    for _ in range(19):
        wide = [wide, wide]
    return wide


class Shout(str):
    __slots__ = ()


HOSTILE: list[Any] = [
    User(),
    User.objects.none(),
    gettext_lazy("user"),
    Nasty(),
    {"a": Nasty()},
    {Nasty(): 1},
    _cyclic(),
    _wide(),
    decimal.Decimal("NaN"),
    datetime.datetime.now(datetime.UTC),
    uuid.uuid4(),
    math.nan,
    -math.inf,
    10**400,
    "\ud800",
    {"\ud800": 1},
    Shout("x"),
    lambda: None,
    (n for n in range(3)),
    "x" * 100_000,
    list(range(100_000)),
    timezone.now,
    type,
    Ellipsis,
    memoryview(b"x"),
]
