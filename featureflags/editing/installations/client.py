"""Calls of another installation's REST API: its segments, an examination there, and a write.

The key is in no text: not in an error, a representation or a log. A call is tried again where that can help:
after 429, a 5xx, and a connection that fails. A write carries an `Idempotency-Key`, so that it is done once.
"""

from __future__ import annotations

import http.client
import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from featureflags.core.conf import app_settings
from featureflags.core.outgoing import Answer, Refused, TooLarge, exchange
from featureflags.core.times import now_in_microseconds
from featureflags.launchdarkly.rest.retries import wait_asked

MOST_BYTES: Final = 16 * 2**20
"""Of one answer. A page of segments with the longest rules has a few."""
PAGE_SIZE: Final = 100
MOST_PAGES: Final = 100
ATTEMPTS: Final = 4
FIRST_WAIT: Final = 0.3
LONGEST_WAIT: Final = 5.0
"""Seconds. An installation that asks to wait for longer is not waited for."""
TOO_MANY: Final = 429
LONGEST_REASON: Final = 300


class InstallationError(Exception):
    """A call failed. `status` and `body` are those of an answer that refused it; 0: there was none."""

    def __init__(
        self, text: str, *, status: int = 0, body: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.body: Mapping[str, Any] = body or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Another installation: its name here, the address of its REST API, and a key for it."""

    name: str
    url: str
    key: str = field(repr=False)

    def segments(self) -> Iterator[dict[str, Any]]:
        """All of its segments, archived or not, page by page. Raises InstallationError."""
        for archived in ("false", "true"):
            for page in range(1, MOST_PAGES + 1):
                query = {"is_archived": archived, "page": page, "page_size": PAGE_SIZE}
                found = self._call("GET", f"segments/?{urlencode(query)}")
                yield from found.get("results", ())
                if not found.get("next"):
                    break
            else:
                raise InstallationError(f"{self.name} has too many segments.")

    def examine(self, key: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        """What a write of these fields would do there. Nothing is written. Raises InstallationError."""
        return self._call("POST", f"segments/{quote(key, safe='')}/examine/", sent)

    def create(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Raises InstallationError."""
        return self._call("POST", "segments/", sent, once=True)

    def change(self, key: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Raises InstallationError."""
        return self._call("PATCH", f"segments/{quote(key, safe='')}/", sent, once=True)

    def _call(
        self, method: str, path: str, sent: Mapping[str, Any] | None = None, *, once: bool = False
    ) -> dict[str, Any]:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self.key}",
            "User-Agent": "guidon",
        }
        body = None
        if sent is not None:
            body = json.dumps(sent).encode()
            headers["Content-Type"] = "application/json"
        if once:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        wait = FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._try(method, path, body, headers)
            if isinstance(outcome, Answer) and outcome.status < 300:
                return self._read(outcome)
            pause = _pause(outcome, wait)
            if attempt == ATTEMPTS or pause is None:
                raise self._failure(outcome)
            time.sleep(pause)
            wait *= 2
        raise AssertionError("unreachable: the last attempt raises")

    def _try(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer | Exception:
        """The answer, or what failed: an error of the connection, whose frames hold the headers, ends here."""
        try:
            return exchange(
                method,
                f"{self.url.rstrip('/')}/{path}",
                body,
                headers,
                most_bytes=MOST_BYTES,
                private_too=app_settings().webhook_private_addresses,
            )
        except (Refused, TooLarge, OSError, http.client.HTTPException) as error:
            return error.with_traceback(None)

    def _read(self, answer: Answer) -> dict[str, Any]:
        try:
            found = json.loads(answer.body or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InstallationError(f"{self.name} answered in another form.", status=answer.status)
        return found

    def _failure(self, outcome: Answer | Exception) -> InstallationError:
        if isinstance(outcome, Refused):
            return InstallationError(f"{self.name}: {outcome}")
        if isinstance(outcome, TooLarge):
            return InstallationError(f"{self.name} sent more than {MOST_BYTES // 2**20} MiB.")
        if isinstance(outcome, Exception):
            return InstallationError(f"{self.name} was not reached: {type(outcome).__name__}.")
        try:
            body = json.loads(outcome.body)
        except (ValueError, RecursionError):
            body = {}
        body = body if isinstance(body, dict) else {}
        said = " ".join(str(body.get("detail") or body.get("title") or "").split())
        reason = said.replace(self.key, "…")[:LONGEST_REASON]
        text = f"{self.name} answered {outcome.status}. {reason}".strip()
        return InstallationError(text, status=outcome.status, body=body)


def _pause(outcome: Answer | Exception, wait: float) -> float | None:
    """Seconds until the next attempt; None: another one cannot help."""
    if isinstance(outcome, Refused | TooLarge):
        return None
    if isinstance(outcome, Answer):
        if outcome.status != TOO_MANY and outcome.status < 500:
            return None
        asked = wait_asked(outcome.headers, now_in_microseconds())
        if asked is not None:
            return None if asked > LONGEST_WAIT else asked
    return wait + random.uniform(0, wait)  # noqa: S311 - spreads attempts, no secret


def configured() -> dict[str, Installation]:
    """The installations of the setting, by name: each entry is a name, an address and a key."""
    entries = (entry.split() for entry in app_settings().installations)
    return {name: Installation(name=name, url=url, key=key) for name, url, key in entries}


def connected(name: str) -> Installation:
    """The installation with this name. Raises InstallationError."""
    known = configured()
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise InstallationError(f"INSTALLATIONS has no {name!r}; it has: {listed}.")
    return known[name]
