"""Which calls are tried again, and when. Knows errors and headers, and sends nothing.

Tried again: a call that was refused for being one too many (429), a call that never left, and,
where doing it twice is the same as doing it once, a call whose fate is not known (5xx, a broken
connection). Never another 4xx: it would fail again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from featureflags.core.types import MICROSECONDS_PER_SECOND
from featureflags.launchdarkly.rest.errors import (
    ConnectionLostError,
    ManagementError,
    NotConnectedError,
    RateLimitError,
    ServerError,
)

MILLISECONDS_PER_SECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently. Times are in seconds.

    LaunchDarkly's windows for rate limits are ten seconds long
    (https://launchdarkly.com/docs/api#rate-limiting), so a few tries outlast one.
    """

    connect_within: float = 5.0
    answer_within: float = 15.0
    """For each read and each write of one try."""
    attempts: int = 5
    total: float = 90.0
    """No further try once so much time has passed."""
    first_wait: float = 0.5
    """Doubled with each try, up to `longest_wait`, plus a random part of up to `jitter`."""
    longest_wait: float = 10.0
    jitter: float = 1.0
    longest_asked: float = 60.0
    """A server that asks to wait for longer is not waited for: the call fails at once."""


WHILE_SOMEBODY_WAITS = RetryPolicy(
    connect_within=1.0,
    answer_within=3.0,
    attempts=2,
    total=5.0,
    first_wait=0.2,
    jitter=0.2,
    longest_asked=1.0,
)
"""For a call within a page: what it cannot do quickly is left to the next run."""


def backoff(policy: RetryPolicy, *, idempotent: bool) -> Callable[[Exception], bool | float]:
    """What to do after an error: False (give up), True (the policy's own wait), or seconds."""

    def after(error: Exception) -> bool | float:
        if not isinstance(error, ManagementError) or not _can_help(error, idempotent=idempotent):
            return False
        wait = None if error.failure is None else error.failure.wait
        if wait is None:
            return True
        return False if wait > policy.longest_asked else wait

    return after


def _can_help(error: ManagementError, *, idempotent: bool) -> bool:
    if isinstance(error, RateLimitError | NotConnectedError):
        return True
    return idempotent and isinstance(error, ServerError | ConnectionLostError)


def wait_asked(headers: Mapping[str, str], now: int) -> float | None:
    """How many seconds the server asks to wait, by `Retry-After` or `X-Ratelimit-Reset`.

    `now` is in microseconds. The longer of the two; a moment that has passed is 0; None if
    neither header says anything that can be read.
    """
    asked = [_retry_after(headers.get("retry-after"), now), _reset(headers, now)]
    waits = [wait for wait in asked if wait is not None]
    return max(0.0, *waits) if waits else None


def _retry_after(value: str | None, now: int) -> float | None:
    """Seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    if _is_whole_number(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment.timestamp() - now / MICROSECONDS_PER_SECOND


def _reset(headers: Mapping[str, str], now: int) -> float | None:
    """Milliseconds since the epoch, as LaunchDarkly documents it."""
    value = headers.get("x-ratelimit-reset", "")
    if not _is_whole_number(value):
        return None
    return int(value) / MILLISECONDS_PER_SECOND - now / MICROSECONDS_PER_SECOND


def _is_whole_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
