"""The ticket of a stream: signed, without a secret, and the same all day, so that clients keep their stream.

It is in the address of the stream, since a browser sends no header with it. Who has a ticket learns when
something about its subject changes, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec
from django.core import signing
from django.urls import get_script_prefix

from featureflags.core.conf import app_settings
from featureflags.kinds.snapshot import Address

PATH: Final = "/guidon/events"
SALT: Final = "featureflags.live"
DAY: Final = 86_400
MOST_KEYS: Final = 20


class Ticket(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a stream is about."""

    who: str
    """A user's or visitor's key, of whom the streams are counted."""
    keys: tuple[Address, ...]
    """Rows whose changes are announced."""
    day: int
    """When it was made: days since the epoch. It is accepted until the end of the next day."""
    api_key: int | None = None
    """The primary key of the API key that must still be active."""


_signer = signing.Signer(salt=SALT)
_is_served = [False]


def serve(*, on: bool = True) -> None:
    """This process serves streams. `on=False`: no more, for tests."""
    _is_served[0] = on


def is_served() -> bool:
    """True in a process whose ASGI application is wrapped by `asgi.with_streams`, and beside one.

    The setting LIVE_STREAMS_ELSEWHERE says that there is one. Where LIVE_STREAMS is 0 there is none.
    """
    settings = app_settings()
    return (_is_served[0] or settings.live_streams_elsewhere) and settings.live_streams > 0


def stream_path(*, who: str, keys: Sequence[Address], api_key: int | None = None) -> str | None:
    """The path of a stream; None where there is none."""
    if not is_served():
        return None
    ticket = Ticket(who=who, keys=tuple(keys[:MOST_KEYS]), day=_today(), api_key=api_key)
    packed = signing.b64_encode(msgspec.json.encode(ticket)).decode()
    query = urlencode({"ticket": _signer.sign(packed)})
    return f"{get_script_prefix().rstrip('/')}{PATH}?{query}"


def read_ticket(text: str) -> Ticket | None:
    """None for a ticket that is not ours or too old."""
    try:
        packed = _signer.unsign(text)
        ticket = msgspec.json.decode(signing.b64_decode(packed.encode()), type=Ticket)
    except (signing.BadSignature, ValueError):
        return None
    return ticket if _today() - 1 <= ticket.day <= _today() else None


def _today() -> int:
    return int(time.time() // DAY)
