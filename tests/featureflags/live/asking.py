"""What a client asks before it listens, and its flag file."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.factories import UserFactory, token_for
from tests.featureflags.live.reader import Reader, reading
from tests.services.processes import WebProcess, on_this_database
from users.models import User


def write(path: Path, *flags: dict[str, Any]) -> None:
    path.write_text(json.dumps({"flags": {flag["key"]: flag for flag in flags}}))


def environment(flags: Path) -> dict[str, str | None]:
    return {**on_this_database(), "LAUNCHDARKLY_FLAG_FILE": str(flags), "LIVE_STREAMS": "25"}


def bulk(web: WebProcess, user: User | str, token: str = "") -> dict[str, Any]:
    """OFREP's answer for all flags."""
    key = user if isinstance(user, str) else str(user.pk)
    request = urllib.request.Request(
        f"{web.url}/ofrep/v1/evaluate/flags",
        json.dumps({"context": {"targetingKey": key}}).encode(),
        {"Authorization": f"Bearer {token or token_for()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def stream_of(web: WebProcess, user: User | str, token: str = "") -> str:
    [stream] = bulk(web, user, token)["eventStreams"]
    assert stream["type"] == "sse"
    return str(stream["url"])


def settled(web: WebProcess, reader: Reader) -> int:
    """Wait for the first message, and for all that is on its way; how many have come.

    The server tells all streams in turn what it has found: what it tells another one now comes after.
    """
    reader.wait_for(1)
    other = UserFactory.create()
    with reading(stream_of(web, other)) as last:
        last.wait_for(1)
        for number in (2, 3):
            User.objects.filter(pk=other.pk).update(name=f"Changed {number}")
            last.wait_for(number)
    return len(reader.messages)
