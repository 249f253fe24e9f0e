"""What goes wrong in a browser without anybody looking: it fails the test at its end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Response, WebError

SERVER_ERROR = 500


@dataclass  # no slots: Playwright notes its handlers on the object that they belong to
class Watch:
    """Errors on the console (refusals of the Content-Security-Policy are there too, and files
    that are missing), exceptions that no script caught, and answers of 500 and above."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        """Watch every page of this context, from its first script on."""
        context.on("console", self._console)
        context.on("weberror", self._exception)
        context.on("response", self._response)

    def expect(self, pattern: str) -> None:
        """Say of an error that it belongs to the test. It must come, once or more."""
        self.expected.append(pattern)

    def allow(self, pattern: str) -> None:
        """Say of an error that it may come: whether it does depends on which request is faster."""
        self.allowed.append(pattern)

    def problems(self) -> list[str]:
        """Errors that nobody expected, and expected ones that did not come."""
        known = [*self.expected, *self.allowed]
        unexpected = [text for text in self.seen if not any(re.search(one, text) for one in known)]
        missed = [
            f"expected, but did not come: {pattern}"
            for pattern in self.expected
            if not any(re.search(pattern, text) for text in self.seen)
        ]
        return unexpected + missed

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _exception(self, error: WebError) -> None:
        self.seen.append(f"exception: {error.error}")

    def _response(self, response: Response) -> None:
        if response.status >= SERVER_ERROR:
            self.seen.append(f"answer: {response.status} {response.request.method} {response.url}")
