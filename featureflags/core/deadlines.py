"""How long a request may wait for PostgreSQL and Redis, by what it is for.

    with deadlines.within(Purpose.FLAG_CHECK):
        ...  # each query has FLAG_CHECK_DATABASE_SECONDS, all calls of Redis together _REDIS_SECONDS

`DeadlineMiddleware` opens a budget for each request. A view names its purpose with the attribute
`purpose` (`for_flag_checks` sets it on a function); the admin is known by its URLs; any other view
is a page. Outside a request (commands, migrations, Celery tasks) there is no budget: PostgreSQL may
take its time, and a call of Redis has its socket's own time-out.

The limits are kept on our side. A server's own (`statement_timeout`, TCP keep-alive) do not end a
wait for a server that is stopped: the kernel goes on acknowledging.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from featureflags.core.conf import FeatureFlagsSettings, app_settings

View = TypeVar("View", bound=Callable[..., Any])
SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

ADMIN = "admin"


class Purpose(StrEnum):
    """What a request waits for servers for."""

    FLAG_CHECK = "flag_check"
    """It answers flags: what does not come at once is answered by the next step of the ladder."""
    PAGE = "page"
    ADMIN = "admin"
    """Its queries may count a million users."""


class Budget:
    """What one request may still wait. Used by one thread or task at a time."""

    __slots__ = ("_settings", "database_seconds", "purpose", "redis_seconds")

    def __init__(self, purpose: Purpose) -> None:
        self._settings = app_settings()
        self.become(purpose)

    def become(self, purpose: Purpose) -> None:
        """Have this purpose, and its whole budget, from now on."""
        self.purpose = purpose
        self.database_seconds = _DATABASE[purpose](self._settings)
        """For each query, and for a connection. On SQLite for all waits for another writer together."""
        self.redis_seconds = _REDIS[purpose](self._settings)
        """For all calls together: each takes off what it has waited, also below zero."""


_DATABASE: dict[Purpose, Callable[[FeatureFlagsSettings], float]] = {
    Purpose.FLAG_CHECK: lambda settings: settings.flag_check_database_seconds,
    Purpose.PAGE: lambda settings: settings.page_database_seconds,
    Purpose.ADMIN: lambda settings: settings.admin_database_seconds,
}
_REDIS: dict[Purpose, Callable[[FeatureFlagsSettings], float]] = {
    Purpose.FLAG_CHECK: lambda settings: settings.flag_check_redis_seconds,
    Purpose.PAGE: lambda settings: settings.page_redis_seconds,
    Purpose.ADMIN: lambda settings: settings.page_redis_seconds,
}

_budget: ContextVar[Budget | None] = ContextVar("featureflags_budget", default=None)
current_budget = _budget.get
"""The budget at hand; None outside a request."""


@contextmanager
def within(purpose: Purpose) -> Iterator[Budget]:
    """A budget for what follows. The budget around it goes on afterwards."""
    budget = Budget(purpose)
    token = _budget.set(budget)
    try:
        yield budget
    finally:
        _budget.reset(token)


def for_flag_checks(view: View) -> View:
    """Decorate a view that answers flags: it never waits long for a server."""
    view.purpose = Purpose.FLAG_CHECK  # type: ignore[attr-defined]  # a function takes any attribute
    return view


def _purpose_of(request: HttpRequest, view: Callable[..., Any]) -> Purpose:
    # DRF's and Django's class-based views show their class on the function.
    shown = getattr(view, "cls", getattr(view, "view_class", None))
    found = getattr(view, "purpose", None) or getattr(shown, "purpose", None)
    if isinstance(found, Purpose):
        return found
    match = request.resolver_match
    is_admin = match is not None and ADMIN in match.app_names
    return Purpose.ADMIN if is_admin else Purpose.PAGE


def _process_view(
    request: HttpRequest, view: Callable[..., Any], _args: object, _kwargs: object
) -> None:
    budget = current_budget()
    if budget is not None:
        budget.become(_purpose_of(request, view))


@sync_and_async_middleware
def DeadlineMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """Opens the budget of each request. Place it before everything that asks a server."""
    if iscoroutinefunction(get_response):
        answer_async = cast("AsyncResponse", get_response)

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            with within(Purpose.PAGE):
                return await answer_async(request)

        middleware_async.process_view = _process_view  # type: ignore[attr-defined]  # Django's hook
        return middleware_async

    answer = cast("SyncResponse", get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with within(Purpose.PAGE):
            return answer(request)

    middleware.process_view = _process_view  # type: ignore[attr-defined]  # Django's hook
    return middleware
