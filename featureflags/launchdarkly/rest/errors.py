"""What can go wrong with a call of LaunchDarkly's REST API. Imports nothing of ours.

Every error carries the server's own message. None carries the token: not in its text, not in its
representation, and not in the frames of its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where a call failed."""

    call: str
    """Method and path: `GET /api/v2/segments/default/test`."""
    status: int | None = None
    """The HTTP status. None: there was no answer."""
    code: str | None = None
    """LaunchDarkly's general class of the error, such as `invalid_request`."""
    wait: float | None = None
    """How many seconds the server asks to wait before the next call. None: it does not say."""


class ManagementError(Exception):
    """A call failed. `message` is the server's; `failure` says which call, if there was one."""

    def __init__(self, message: str, failure: Failure | None = None) -> None:
        # Both are passed on, so that a worker process can pickle the error.
        super().__init__(message, failure)
        self.message = message
        self.failure = failure

    def __str__(self) -> str:
        if self.failure is None:
            return self.message
        status = "no answer" if self.failure.status is None else str(self.failure.status)
        return f"{self.message} ({self.failure.call}: {status})"


class NotConfiguredError(ManagementError):
    """A setting is missing or cannot be right. Nothing was sent."""


class AuthenticationError(ManagementError):
    """401: the token is missing, wrong or expired."""


class ForbiddenError(ManagementError):
    """403: the token may not do this."""


class NotFoundError(ManagementError):
    """404: the project, environment or segment does not exist."""


class ConflictError(ManagementError):
    """409: the key is taken, the thing is in use, or somebody changed it at the same time."""


class InvalidRequestError(ManagementError):
    """400, 422 and every other 4xx: the request is wrong, and would be wrong again."""


class RateLimitError(ManagementError):
    """429: too many calls. Nothing was done."""


class ServerError(ManagementError):
    """5xx: whether anything was done is not known."""


class UnexpectedAnswerError(ManagementError):
    """An answer that this API does not give: a redirect, a page, JSON of another shape."""


class NotConnectedError(ManagementError):
    """No connection came about. Nothing was sent."""


class ConnectionLostError(ManagementError):
    """The connection broke before the answer: whether anything was done is not known."""


ERRORS: dict[int, type[ManagementError]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}
"""By status. LaunchDarkly's list: https://launchdarkly.com/docs/api#errors"""


def error_class(status: int) -> type[ManagementError]:
    """The class for a status that is not 2xx."""
    if status in ERRORS:
        return ERRORS[status]
    if 400 <= status < 500:
        return InvalidRequestError
    return ServerError if status >= 500 else UnexpectedAnswerError
