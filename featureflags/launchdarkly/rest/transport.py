"""Sends the calls: the token, time limits, new tries, and our own errors. Uses httpx.

One object holds the token and never shows it. Errors of httpx end here: the frames of their
tracebacks hold the headers that were sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec

from featureflags.core.extras import how_to_install
from featureflags.launchdarkly.rest.errors import (
    ConnectionLostError,
    Failure,
    ManagementError,
    NotConfiguredError,
    NotConnectedError,
    UnexpectedAnswerError,
    error_class,
)
from featureflags.launchdarkly.rest.models import ErrorBody
from featureflags.launchdarkly.rest.retries import RetryPolicy, backoff, wait_asked

try:
    import httpx
    import stamina
except ImportError:  # the extra `sync` is not installed
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

API_VERSION = "20240415"
"""Named in each call: without it the version follows the token, not this code.
https://launchdarkly.com/docs/api#versioning"""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
NANOSECONDS_PER_MICROSECOND = 1000
LONGEST_MESSAGE = 300


class Secret:
    """A text that is in no representation."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def reveal(self) -> str:
        return self._text

    def removed_from(self, text: str) -> str:
        return text.replace(self._text, "…")


MOST_BYTES: Final = 32 * 2**20
"""Of one answer, decoded. A page of flags with everything in it has a few."""
OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class TokenAuth:
    """What httpx calls with each request. LaunchDarkly takes the plain token, without `Bearer`.

    https://launchdarkly.com/docs/api#authentication
    """

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = self._token.reveal()
        return request


class Transport:
    """One connection pool to one API, with one token."""

    __slots__ = ("_http", "_origin", "_policy", "_token")

    def __init__(self, *, token: Secret, url: str, policy: RetryPolicy) -> None:
        """Raises NotConfiguredError for a token or an address that cannot be right, and without the
        extra `sync`."""
        if not IS_INSTALLED:
            raise NotConfiguredError(
                "LaunchDarkly's REST API needs the packages httpx and stamina: "
                f"{how_to_install('sync')}."
            )
        _refuse_bad_token(token)
        self._origin = _origin(url)
        self._token = token
        self._policy = policy
        self._http = httpx.Client(
            auth=TokenAuth(token),
            timeout=httpx.Timeout(policy.answer_within, connect=policy.connect_within),
            headers={"LD-API-Version": API_VERSION, "User-Agent": "guidon"},
        )

    def __repr__(self) -> str:
        return f"Transport({self._origin!r})"

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        idempotent: bool,
    ) -> bytes:
        """The body of a 2xx answer. Raises a ManagementError, after new tries where they can help.

        `path` may be a link that the API gave; one that leads to another server is refused.
        """
        url = urljoin(self._origin, path)
        if not url.startswith(f"{self._origin}/"):
            raise UnexpectedAnswerError("A link leads to another server; it was not followed.")
        request = self._http.build_request(
            method,
            url,
            params=query,
            content=body,
            headers={} if body is None else {"Content-Type": content_type},
        )
        policy = self._policy
        for attempt in stamina.retry_context(
            on=backoff(policy, idempotent=idempotent),
            attempts=policy.attempts,
            timeout=policy.total,
            wait_initial=policy.first_wait,
            wait_max=policy.longest_wait,
            wait_jitter=policy.jitter,
        ):
            with attempt:
                return self._send(request)
        raise AssertionError("unreachable: the last attempt raises")

    def _send(self, request: httpx.Request) -> bytes:
        call = f"{request.method} {request.url.path}"
        answer = self._answer(request, call)
        if isinstance(answer, ManagementError):
            raise answer
        if not answer.is_success:
            raise self._refusal(answer, call)
        return answer.content

    def _answer(self, request: httpx.Request, call: str) -> httpx.Response | ManagementError:
        """The answer, or an error to raise outside of `except`: raised within, it would carry
        the one of httpx, and with it the frames that hold the headers.
        """
        try:
            answer = self._http.send(request, stream=True)
            try:
                return _read(answer) or UnexpectedAnswerError(
                    f"The answer is larger than {MOST_BYTES // 2**20} MiB.", Failure(call=call)
                )
            finally:
                answer.close()
        except httpx.HTTPError as error:
            kind = type(error).__name__
            detail = self._readable(str(error)) or kind
            failure = Failure(call=call)
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                return NotConnectedError(f"LaunchDarkly was not reached: {detail}", failure)
            if isinstance(error, httpx.TransportError):
                return ConnectionLostError(f"The connection broke ({kind}): {detail}", failure)
            return UnexpectedAnswerError(f"The answer cannot be read ({kind}): {detail}", failure)

    def _refusal(self, answer: httpx.Response, call: str) -> ManagementError:
        code: str | None = None
        try:
            body = msgspec.json.decode(answer.content, type=ErrorBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # A proxy's page, or nothing: the reason phrase and the beginning of the text.
            message = f"{answer.reason_phrase} {answer.text[:LONGEST_MESSAGE]}".strip()
        else:
            message, code = body.message, body.code
        failure = Failure(
            call=call,
            status=answer.status_code,
            code=code,
            wait=wait_asked(answer.headers, time.time_ns() // NANOSECONDS_PER_MICROSECOND),
        )
        text = self._readable(message) or "LaunchDarkly gives no reason."
        return error_class(answer.status_code)(text, failure)

    def _readable(self, text: str) -> str:
        """On one line, not too long, and without the token, should a server have repeated it."""
        return " ".join(self._token.removed_from(text).split())[:LONGEST_MESSAGE]


def _read(answer: httpx.Response) -> httpx.Response | None:
    """The answer with its body, decoded; None if it is larger than MOST_BYTES."""
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            return None
    headers = [(name, value) for name, value in answer.headers.items() if name not in OF_THE_WIRE]
    return httpx.Response(
        answer.status_code, headers=headers, content=bytes(body), request=answer.request
    )


def _refuse_bad_token(token: Secret) -> None:
    """A token with a newline or a letter beyond ASCII fails later, in words that repeat it."""
    if not token.reveal():
        raise NotConfiguredError("There is no API access token.")
    if not all("!" <= sign <= "~" for sign in token.reveal()):
        raise NotConfiguredError("The API access token has a blank or a sign that no token has.")


def _origin(url: str) -> str:
    """Scheme, host and port. The token never travels in clear, except to this very machine."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.path not in {"", "/"} or parts.query or parts.username:
        raise NotConfiguredError(
            f"{url!r} is not the address of an API: https://host, without a path."
        )
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        raise NotConfiguredError(f"{url!r} would send the token unprotected: use https.")
    return f"{parts.scheme}://{parts.netloc}"
