"""How a delivery is signed: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, as Standard Webhooks has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from featureflags.models.webhooks import MARK


def signature(secret: str, uid: str, timestamp: int, body: str) -> str:
    """Of one attempt. `timestamp` in seconds since the epoch, `secret` as the admin shows it."""
    key = base64.b64decode(secret.removeprefix(MARK))
    signed = f"{uid}.{timestamp}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def headers(secrets: Sequence[str], uid: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers of one attempt, signed with each of the secrets."""
    signed = (signature(secret, uid, timestamp, body) for secret in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "guidon",
        "webhook-id": uid,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signed),
    }
