"""The calls of LaunchDarkly's REST API that we make: segments of one environment, and flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import msgspec

from featureflags.core.conf import app_settings
from featureflags.launchdarkly.rest.configuration import missing_variables
from featureflags.launchdarkly.rest.errors import (
    Failure,
    InvalidRequestError,
    NotConfiguredError,
    UnexpectedAnswerError,
)
from featureflags.launchdarkly.rest.models import (
    FlagPage,
    Instruction,
    NewSegment,
    RemoteFlag,
    RemoteSegment,
    SegmentPage,
    SemanticPatch,
)
from featureflags.launchdarkly.rest.retries import RetryPolicy
from featureflags.launchdarkly.rest.transport import Secret, Transport

SEMANTIC_PATCH = "application/json; domain-model=launchdarkly.semanticpatch"
"""https://launchdarkly.com/docs/api#updates-using-semantic-patch"""

PAGE_SIZE = 50
MOST_PAGES = 1000
"""A list that has more has no end."""

Shape = TypeVar("Shape")
Page = TypeVar("Page", SegmentPage, FlagPage)


class ManagementClient:
    """Segments of one environment of one project, and its flags. A context manager, which closes connections.

    Every call raises a ManagementError, see `errors.py`.
    """

    __slots__ = ("_transport", "environment", "project")

    def __init__(
        self,
        *,
        token: Secret,
        url: str,
        project: str,
        environment: str,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.project = project
        self.environment = environment
        self._transport = Transport(token=token, url=url, policy=policy or RetryPolicy())

    def __repr__(self) -> str:
        return f"ManagementClient({self.project!r}, {self.environment!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    def segments(self) -> Iterator[RemoteSegment]:
        """All segments, page by page, as the pages become needed. A summary may lack lists."""
        for page in self._pages(self._path(), SegmentPage, {"sort": "creationDate"}):
            yield from page.items

    def segment(self, key: str) -> RemoteSegment:
        """One segment with all that is known of it. Raises NotFoundError."""
        path = self._path(key)
        return _decode(
            self._transport.call("GET", path, idempotent=True), RemoteSegment, f"GET {path}"
        )

    def create_segment(self, segment: NewSegment) -> RemoteSegment:
        """Create it, without rules. Raises ConflictError if the key is taken."""
        path = self._path()
        body = msgspec.json.encode(segment)
        answer = self._transport.call("POST", path, body=body, idempotent=False)
        return _decode(answer, RemoteSegment, f"POST {path}")

    def patch_segment(
        self, key: str, instructions: Sequence[Instruction], *, comment: str
    ) -> RemoteSegment:
        """Carry out all instructions or none. `comment` is shown in LaunchDarkly's audit log."""
        path = self._path(key)
        patch = SemanticPatch(
            environment_key=self.environment, instructions=tuple(instructions), comment=comment
        )
        answer = self._transport.call(
            "PATCH",
            path,
            body=msgspec.json.encode(patch),
            content_type=SEMANTIC_PATCH,
            idempotent=all(each.idempotent for each in instructions),
        )
        return _decode(answer, RemoteSegment, f"PATCH {path}")

    def delete_segment(self, key: str) -> None:
        """Delete it for good. Raises NotFoundError, also where a first try that got no answer
        had deleted it.
        """
        self._transport.call("DELETE", self._path(key), idempotent=True)

    def flag(self, key: str) -> RemoteFlag:
        """One flag of the project, archived or not. Raises NotFoundError.

        https://launchdarkly.com/docs/api/feature-flags/get-feature-flag
        """
        path = _joined("flags", self.project, key)
        return _decode(
            self._transport.call("GET", path, idempotent=True), RemoteFlag, f"GET {path}"
        )

    def flags(self) -> Iterator[RemoteFlag]:
        """All flags of the project that are not archived, with what they are in the environment.

        https://launchdarkly.com/docs/api/feature-flags/get-feature-flags
        """
        query = {"env": self.environment, "sort": "creationDate"}
        for page in self._pages(_joined("flags", self.project), FlagPage, query):
            yield from page.items

    def _pages(self, path: str, shape: type[Page], query: dict[str, str]) -> Iterator[Page]:
        """The pages of a list, each asked for when it becomes needed."""
        asked: dict[str, str] | None = {"limit": str(PAGE_SIZE), **query}
        seen: set[str] = set()
        while True:
            body = self._transport.call("GET", path, query=asked, idempotent=True)
            page = _decode(body, shape, f"GET {path}")
            yield page
            if page.links.next is None:
                return
            # A link to the next page carries its own query.
            path, asked = page.links.next.href, None
            if path in seen or len(seen) >= MOST_PAGES:
                raise UnexpectedAnswerError("A list does not end.")
            seen.add(path)

    def _path(self, *rest: str) -> str:
        return _joined("segments", self.project, self.environment, *rest)


def management_client(
    *,
    project: str | None = None,
    environment: str | None = None,
    policy: RetryPolicy | None = None,
) -> ManagementClient:
    """The client that the settings describe; `project` and `environment` win over them.

    Raises NotConfiguredError, which names every variable that is missing.
    """
    settings = app_settings()
    project = project or settings.project
    environment = environment or settings.environment
    missing = missing_variables(project=project, environment=environment)
    if missing:
        raise NotConfiguredError(f"Not set: {', '.join(missing)}.")
    return ManagementClient(
        token=Secret(settings.api_token),
        url=settings.api_url,
        project=project,
        environment=environment,
        policy=policy,
    )


def _joined(*parts: str) -> str:
    for part in parts:
        if not part.strip("."):
            raise InvalidRequestError(f"{part!r} is not a key.")
    return "/api/v2" + "".join(f"/{quote(part, safe='')}" for part in parts)


def _decode(body: bytes, shape: type[Shape], call: str) -> Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedAnswerError(
            f"LaunchDarkly answered in another shape: {error}", Failure(call=call)
        ) from error
