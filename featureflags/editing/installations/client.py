"""Calls of another installation's REST API: its segments, and a write of segments.

The key is in no text: not in an error, a representation or a log. A call is tried again where that can help:
after 429, a 5xx, and a connection that fails. A write carries an `Idempotency-Key`, so that it is done once.
All of it is bounded: a call, its attempts, and all pages of the segments together.
"""

from __future__ import annotations

import http.client
import json
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.core.conf import app_settings
from featureflags.core.outgoing import Answer, Refused, TooLarge, exchange
from featureflags.core.times import now_in_microseconds
from featureflags.launchdarkly.rest.retries import wait_asked

MOST_BYTES: Final = 16 * 2**20
"""Of one answer. A page of segments with the longest rules has a few."""
ATTEMPTS: Final = 4
FIRST_WAIT: Final = 0.3
LONGEST_WAIT: Final = 5.0
"""Seconds. An installation that asks to wait for longer is not waited for."""
TOO_MANY: Final = 429
LONGEST_REASON: Final = 300
READ_SECONDS: Final = 15.0
"""For all segments."""
WRITE_SECONDS: Final = 25.0
"""For one examination or write, in which the other side counts who enters and leaves."""
TRY_SECONDS: Final = 8.0
"""No attempt begins later than this after the first."""
ADDRESS: Final = "segment-documents/"

_HINTS: Final[Mapping[int, object]] = {
    401: gettext_lazy("It does not know the key of INSTALLATIONS."),
    403: gettext_lazy("The owner of the key may not do this there, or its scope is another one."),
    404: gettext_lazy("It is of an older release, or INSTALLATIONS has a wrong address."),
    413: gettext_lazy("Promote fewer segments at once."),
}
_MOVED: Final = gettext_lazy("It redirects: INSTALLATIONS must hold the address of its API itself.")


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

    def segments(self) -> dict[str, Any]:
        """All of its segments, archived or not, in the form that `receive` reads. Raises InstallationError."""
        ends = time.monotonic() + READ_SECONDS
        whole: dict[str, Any] = {"segments": {}, "names": {}, "problems": {}}
        after = ""
        while True:
            query = f"?{urlencode({'after': after})}" if after else ""
            found = self._call("GET", ADDRESS + query, ends=ends)
            parts = [found.get(name) for name in whole]
            if not all(isinstance(part, dict) for part in parts) or (not after and not found):
                raise self.another_form()
            whole["segments"] |= found["segments"]
            whole["problems"] |= found["problems"]
            for kind, titles in found["names"].items():
                if isinstance(titles, dict):
                    whole["names"].setdefault(kind, {}).update(titles)
            goes_on = found.get("next") or ""
            if not goes_on:
                return whole
            if not isinstance(goes_on, str) or goes_on == after:
                raise self.another_form()
            after = goes_on
            if time.monotonic() > ends:
                raise self._too_long()

    def write(self, sent: Mapping[str, Any], *, is_dry: bool = False) -> dict[str, Any]:
        """Write segments, all of them or none. `is_dry`: the body asks only what it would do.

        Raises InstallationError.
        """
        ends = time.monotonic() + WRITE_SECONDS
        return self._call("POST", ADDRESS, sent, once=not is_dry, ends=ends)

    def another_form(self) -> InstallationError:
        """It has answered what cannot be read."""
        text = _(
            "%s answered in another form. Is this the address of its REST API, of this release?"
        )
        return InstallationError(text % self.name)

    def _too_long(self) -> InstallationError:
        text = _("%(name)s has more pages of segments than can be read in %(seconds)d seconds.")
        return InstallationError(text % {"name": self.name, "seconds": READ_SECONDS})

    def _call(
        self,
        method: str,
        path: str,
        sent: Mapping[str, Any] | None = None,
        *,
        ends: float,
        once: bool = False,
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
        began, wait = time.monotonic(), FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._try(method, path, body, headers, ends - time.monotonic())
            if isinstance(outcome, Answer) and outcome.status < 300:
                return self._read(outcome)
            pause = _pause(outcome, wait)
            now = time.monotonic()
            if pause is None or attempt == ATTEMPTS or now + pause > min(began + TRY_SECONDS, ends):
                raise self._failure(outcome, is_write=once)
            time.sleep(pause)
            wait *= 2
        raise AssertionError("unreachable: the last attempt raises")

    def _try(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        seconds: float,
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
                seconds=max(seconds, 0.1),
            )
        except (Refused, TooLarge, OSError, http.client.HTTPException) as error:
            return error.with_traceback(None)

    def _read(self, answer: Answer) -> dict[str, Any]:
        try:
            found = json.loads(answer.body or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.another_form()
        return found

    def _failure(self, outcome: Answer | Exception, *, is_write: bool) -> InstallationError:
        if isinstance(outcome, Refused):
            return InstallationError(f"{self.name}: {outcome}")
        if isinstance(outcome, TooLarge):
            text = _("%(name)s sent more than %(size)d MiB.")
            return InstallationError(text % {"name": self.name, "size": MOST_BYTES // 2**20})
        if isinstance(outcome, Exception):
            text = _("%(name)s did not answer (%(error)s).") % {
                "name": self.name,
                "error": type(outcome).__name__,
            }
            if is_write:
                text += " " + _("Whether it was written is not known: compare again.")
            return InstallationError(text)
        return self._refusal(outcome)

    def _refusal(self, answer: Answer) -> InstallationError:
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = {}
        body = body if isinstance(body, dict) else {}
        said = " ".join(str(body.get("detail") or body.get("title") or "").split())
        said = said.replace(self.key, "…")[:LONGEST_REASON]
        hint = _MOVED if 300 <= answer.status < 400 else _HINTS.get(answer.status, "")
        text = _("%(name)s answered %(status)d.") % {"name": self.name, "status": answer.status}
        text = " ".join(filter(None, [text, said, str(hint)]))
        return InstallationError(text, status=answer.status, body=body)


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
