"""The SDK's log, so that an outage fills no disk: each message at most once a minute.

While the SDK has no flags it writes a line for every evaluation. A refused SDK key is reported
once by `featureflags.launchdarkly.client`, in words that name the next step. Nothing about a user is
passed on, at any level.
"""

from __future__ import annotations

import logging
import time

LOGGERS = ("ldclient.util", "ldclient.flag")
EVERY_SECONDS = 60.0
COMPARED = 48
"""Messages that begin alike are the same one, about another flag or with another delay."""
REFUSED = "(invalid SDK key)"
PAYLOAD = "Sending events payload: "
"""What the SDK writes at DEBUG: whole events, with the public attributes of users. Never passed."""
MOST_KNOWN = 1000


class QuietFilter(logging.Filter):
    """Passes what has not been passed within a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}
        self.knows_of_refusal = False
        """Whether we have said that the SDK key is refused. What the events service says of it is
        news only where the source of flags takes the key: behind a relay proxy, say."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith(PAYLOAD):
            return False
        if REFUSED in message and (self.knows_of_refusal or "events" not in message):
            return False
        beginning = f"{record.levelno} {message[:COMPARED]}"
        now = time.monotonic()
        if now - self._passed.get(beginning, -EVERY_SECONDS) < EVERY_SECONDS:
            return False
        if len(self._passed) >= MOST_KNOWN:
            self._passed.clear()
        self._passed[beginning] = now
        return True

    def forget(self) -> None:
        self._passed.clear()
        self.knows_of_refusal = False


_filter = QuietFilter()


def quieten() -> None:
    """Filter the SDK's log from now on; what was logged before does not count."""
    _filter.forget()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_filter)


def refusal_is_said(*, said: bool) -> None:
    """Whether the log already says that LaunchDarkly refuses the SDK key."""
    _filter.knows_of_refusal = said


def restore() -> None:
    """Let everything pass again: our client is closed."""
    for name in LOGGERS:
        logging.getLogger(name).removeFilter(_filter)
