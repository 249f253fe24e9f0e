"""What a client asks before it listens, and its flag file."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.factories import token_for
from tests.featureflags.live.reader import Reader
from tests.services.processes import WebProcess
from users.models import User


def write(path: Path, *flags: dict[str, Any]) -> None:
    path.write_text(json.dumps({"flags": {flag["key"]: flag for flag in flags}}))


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


def settled(reader: Reader) -> int:
    """Wait for the first message, which comes at once; how many there are."""
    reader.wait_for(1)
    time.sleep(1.0)
    return len(reader.messages)
