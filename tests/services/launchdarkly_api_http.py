"""The HTTP half of the REST API on loopback: headers, routes, pages, faults.

What is asked for comes from an `ApiSite`, which `launchdarkly_api.LaunchDarklyApiServer` is.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.services.guarded import HOST
from tests.services.launchdarkly_http import ACCEPT_POLL_SECONDS, CLOSE_SECONDS, cut
from tests.services.launchdarkly_segments import JsonObject, Refused, SegmentStore

API_VERSIONS = frozenset({"20220603", "20240415"})
SEMANTIC_PATCH = "application/json; domain-model=launchdarkly.semanticpatch"
DEFAULT_LIMIT = 20
LARGEST_LIMIT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request, and the status of its answer (None: no answer was sent)."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any
    status: int | None


@dataclass(slots=True, kw_only=True)
class Fault:
    """A fault in place of the answer, for one method or (None) for all."""

    method: str | None
    left: int | None
    status: int | None = None
    """None: no answer, and the connection is closed."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    after_work: bool = False
    """True: the request is carried out before the fault."""
    held: threading.Event | None = None
    """Wait for this before the connection is closed."""

    def takes(self, method: str) -> bool:
        if self.left == 0 or self.method not in {None, method}:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class ApiSite(Protocol):
    """The contents that are served. All methods are called from many threads."""

    project: str
    environment: str
    token: str
    store: SegmentStore
    lock: threading.Lock
    flags: dict[str, JsonObject]
    next_link: str | None

    def fault(self, method: str) -> Fault | None: ...
    def note(self, request: ApiRequest) -> None: ...


class ApiHttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, site: ApiSite) -> None:
        self.site = site
        self._closed = False
        super().__init__((HOST, 0), Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(ACCEPT_POLL_SECONDS,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.shutdown()
            self._thread.join(CLOSE_SECONDS)
            cut(self.socket)
            self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ApiHttpServer
    connection: socket.socket

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, *args: object) -> None:
        """Log nothing: the site keeps the requests."""

    def _serve(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.site.fault(self.command)
        status, data = (0, None) if fault and not fault.after_work else self._work(text)
        if fault is None:
            self._reply(text, status, data, {})
        elif fault.status is not None:
            message = {"code": "a_fault", "message": "a fault of the test"}
            self._reply(text, fault.status, message, fault.headers, fault.body)
        else:
            self._note(text, None)
            if fault.held is not None:
                fault.held.wait()
            self.close_connection = True
            cut(self.connection)

    def _work(self, text: bytes) -> tuple[int, JsonObject | None]:
        try:
            self._check_headers()
            with self.server.site.lock:
                return self._route(_body(text))
        except Refused as refusal:
            return refusal.status, refusal.body

    def _check_headers(self) -> None:
        if self.headers.get("Authorization") != self.server.site.token:
            raise Refused(401, "unauthorized", "Invalid access token")
        if self.headers.get("LD-API-Version") not in API_VERSIONS:
            raise Refused(400, "invalid_request", "Invalid version header")
        has_body = self.command in {"POST", "PATCH", "PUT"}
        kind = self.headers.get("Content-Type", "")
        if has_body and kind.split(";")[0].strip() != "application/json":
            raise Refused(415, "unsupported_media_type", "Content-Type must be application/json")

    def _route(self, body: Any) -> tuple[int, JsonObject | None]:
        site = self.server.site
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/")]
        match self.command, parts:
            case method, ["", "api", "v2", "segments", project, environment, *rest]:
                if (project, environment) != (site.project, site.environment):
                    raise Refused(404, "not_found", "Unknown project or environment key")
                return self._segments(method, rest, body)
            case "GET", ["", "api", "v2", "flags", project, key]:
                if project != site.project or key not in site.flags:
                    raise Refused(404, "not_found", "Unknown project or flag key")
                return 200, site.flags[key]
            case "GET", ["", "api", "v2", "flags", project]:
                if project != site.project:
                    raise Refused(404, "not_found", "Unknown project key")
                return 200, self._page(self._flags())
            case _:
                raise Refused(404, "not_found", "Not found")

    def _segments(
        self, method: str, rest: Sequence[str], body: Any
    ) -> tuple[int, JsonObject | None]:
        store = self.server.site.store
        match method, rest:
            case "GET", []:
                return 200, self._page(store.summaries())
            case "POST", []:
                return 201, store.create(body)
            case "GET", [key]:
                return 200, store.show(key)
            case "PATCH", [key]:
                if self.headers.get("Content-Type") != SEMANTIC_PATCH:
                    message = "json: cannot unmarshal object into Go value of type jsonpatch.Patch"
                    raise Refused(400, "invalid_request", message)
                return 200, store.patch(key, body)
            case "DELETE", [key]:
                store.delete(key)
                return 204, None
            case _:
                raise Refused(405, "method_not_allowed", "Method not allowed")

    def _flags(self) -> list[JsonObject]:
        """The flags that are not archived, with the environments of the query."""
        asked = parse_qs(urlsplit(self.path).query).get("env", [])
        found = []
        for flag in self.server.site.flags.values():
            environments = flag.get("environments", {})
            shown = {key: environments[key] for key in asked if key in environments}
            if not flag.get("archived"):
                found.append({**flag, "environments": shown})
        return found

    def _page(self, everything: Sequence[JsonObject]) -> JsonObject:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        limit = int(query.get("limit", [str(DEFAULT_LIMIT)])[0])
        offset = int(query.get("offset", ["0"])[0])
        if not 1 <= limit <= LARGEST_LIMIT or offset < 0:
            raise Refused(400, "invalid_request", "Invalid limit or offset")
        links: JsonObject = {"self": {"href": self.path, "type": "application/json"}}
        if offset + limit < len(everything):
            kept = {name: each for name, each in query.items() if name not in {"limit", "offset"}}
            following = urlencode({**kept, "limit": limit, "offset": offset + limit}, doseq=True)
            href = f"{url.path}?{following}"
            href = self.server.site.next_link or href
            links["next"] = {"href": href, "type": "application/json"}
        items = list(everything[offset : offset + limit])
        return {"items": items, "_links": links, "totalCount": len(everything)}

    def _reply(
        self,
        text: bytes,
        status: int,
        data: JsonObject | None,
        headers: Mapping[str, str],
        raw: bytes | None = None,
    ) -> None:
        answer = raw if raw is not None else b"" if data is None else json.dumps(data).encode()
        # Before the answer: the test may look as soon as its client has it.
        self._note(text, status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _note(self, text: bytes, status: int | None) -> None:
        url = urlsplit(self.path)
        self.server.site.note(
            ApiRequest(
                method=self.command,
                path=url.path,
                query=parse_qs(url.query),
                headers=dict(self.headers),
                body=_json_or_none(text),
                status=status,
            )
        )


def _body(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise Refused(400, "invalid_request", "Invalid JSON in request body") from error


def _json_or_none(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Kept too: the test sees that the body was not JSON.
        return None
