"""Playwright in a thread of its own, used from tests as if it were in theirs.

Its sync API keeps an event loop running in the thread that it lives in. There Django would refuse
the ORM (DJANGO_ALLOW_ASYNC_UNSAFE would switch that check off for the tested code too), and
pytest-asyncio could start no loop. So every call is made over there, and what comes back of
Playwright stays behind a `Remote` that passes attributes and calls on. Handlers and predicates
are called over there as well, with Playwright's own objects: no ORM in them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

from playwright.sync_api import Browser, Expect, Playwright, expect, sync_playwright

from tests.browser.chromium import OPTIONS

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS: Final = 60.0
"""How long a page may take to show what is expected. Fast pages do not wait: it is a bound."""


class BrowserThread:
    """The thread of one Playwright and one Chromium."""

    def __init__(self, executable: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="playwright")
        self._ident = self._pool.submit(threading.get_ident).result()
        self._executable = executable
        self._playwright: Playwright = self.run(lambda: sync_playwright().start())
        self.browser = self.launch()
        self.run(expect.set_options, timeout=PATIENCE_SECONDS * 1000)

    def launch(self, **options: Any) -> Browser:
        """Another Chromium, with options of Playwright's `launch`. The caller closes it."""
        return self.run(
            self._playwright.chromium.launch,
            executable_path=self._executable,
            args=list(OPTIONS),
            **options,
        )

    def run(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it over there; what it raises is raised here."""
        opened = [_opened(argument) for argument in args]
        by_name = {name: _opened(argument) for name, argument in kwargs.items()}
        call = partial(cast("Callable[..., T]", do), *opened, **by_name)
        if threading.get_ident() == self._ident:
            return call()
        return cast("T", self._wrapped(self._pool.submit(call).result()))

    def close(self) -> None:
        self.browser.close()
        self._playwright.stop()
        self._pool.shutdown()

    def expect(self) -> Expect:
        """Playwright's `expect`, for what this thread gave out."""
        return cast("Expect", Remote(self, expect))

    def _wrapped(self, value: object) -> object:
        if isinstance(value, list):
            return [self._wrapped(item) for item in value]
        is_theirs = type(value).__module__.startswith("playwright.")
        return Remote(self, value) if is_theirs or callable(value) else value


class Remote:
    """Something of Playwright's that lives in the browser's thread."""

    __slots__ = ("__there", "__thread")

    def __init__(self, thread: BrowserThread, there: object) -> None:
        self.__thread = thread
        self.__there = there

    def opened(self) -> Any:
        """The thing itself, for its own thread."""
        return self.__there

    def __getattr__(self, name: str) -> Any:
        return self.__thread.run(getattr, self.__there, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__thread.run(cast("Callable[..., Any]", self.__there), *args, **kwargs)

    def __enter__(self) -> Any:
        return self.__getattr__("__enter__")()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__getattr__("__exit__")(kind, error, trace)

    def __repr__(self) -> str:
        return f"<in the browser's thread: {self.__there!r}>"


def _opened(argument: object) -> Any:
    return argument.opened() if isinstance(argument, Remote) else argument
