"""LaunchDarkly's REST API on loopback: segments of one environment, checked as the vendor does.

A request that LaunchDarkly refuses is refused here too, with the same texts and shapes
(https://launchdarkly.com/docs/api/segments): a semantic patch needs its content type, known
instructions with their own fields, and holds as a whole or not at all. Tests break the service
with `answer`, `drop` and `hang`, and read the requests. The HTTP part is in
`launchdarkly_api_http.py`, the segments are in `launchdarkly_segments.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tests.services.guarded import HOST
from tests.services.launchdarkly_api_http import ApiHttpServer, ApiRequest, Fault
from tests.services.launchdarkly_segments import SegmentStore

TOKEN = "api-loopback-0f5c2b9d-token"


class LaunchDarklyApiServer:
    """One project with one environment, served on one loopback port; a context manager."""

    def __init__(
        self, *, project: str = "default", environment: str = "test", token: str = TOKEN
    ) -> None:
        self.project = project
        self.environment = environment
        self.token = token
        self.store = SegmentStore(environment)
        self.flags: dict[str, dict[str, Any]] = {}
        """The answer for each flag, by key."""
        self.next_link: str | None = None
        """A link to send in place of the right one."""
        self.lock = threading.Lock()
        self._faults: list[Fault] = []
        self._requests: list[ApiRequest] = []
        self._http = ApiHttpServer(self)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._http.server_address[1]}"

    @property
    def settings(self) -> dict[str, object]:
        """The keys of `settings.FEATUREFLAGS` for a client of this server."""
        return {
            "API_URL": self.url,
            "API_TOKEN": self.token,
            "PROJECT": self.project,
            "ENVIRONMENT": self.environment,
        }

    # What tests do to it

    def answer(
        self,
        status: int,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        times: int | None = None,
        after_work: bool = False,
    ) -> None:
        """Answer with this status, always or `times` times."""
        self._add(
            Fault(
                status=status,
                method=method,
                headers=headers or {},
                body=body,
                left=times,
                after_work=after_work,
            )
        )

    def drop(
        self, *, method: str | None = None, times: int | None = None, after_work: bool = False
    ) -> None:
        """Close the connection instead of answering, before or after the work is done."""
        self._add(Fault(method=method, left=times, after_work=after_work))

    def hang(self, *, method: str | None = None) -> None:
        """Give no answer until `recover`."""
        self._add(Fault(method=method, left=None, held=threading.Event()))

    def recover(self) -> None:
        with self.lock:
            for fault in self._faults:
                if fault.held is not None:
                    fault.held.set()
            self._faults.clear()

    def requests(self, *methods: str) -> list[ApiRequest]:
        """All requests, or those of some methods."""
        with self.lock:
            return [each for each in self._requests if not methods or each.method in methods]

    def changes(self) -> list[tuple[str, str, list[str]]]:
        """The requests that change a segment: method, segment and kinds of instructions."""
        return [
            (
                each.method,
                each.body["key"] if each.method == "POST" else each.path.rsplit("/", 1)[1],
                [one["kind"] for one in (each.body or {}).get("instructions", [])],
            )
            for each in self.requests("POST", "PATCH", "DELETE", "PUT")
        ]

    def forget_requests(self) -> None:
        with self.lock:
            self._requests.clear()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self.recover()
        self._http.close()

    # What its HTTP part asks

    def fault(self, method: str) -> Fault | None:
        with self.lock:
            return next((each for each in self._faults if each.takes(method)), None)

    def note(self, request: ApiRequest) -> None:
        with self.lock:
            self._requests.append(request)

    def _add(self, fault: Fault) -> None:
        with self.lock:
            self._faults.append(fault)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
