"""Views that exist only for those for whom a flag is on; to everybody else they answer 404.

    @flag_required("internal-tools")
    def tools(request): ...

    class Tools(FlagRequiredMixin, TemplateView):
        flag_required = "internal-tools"

Both serve sync and async views. A degraded answer counts as what it says: the default. Place
`flag_required` outermost, where it sees the request first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views import View

from featureflags.evaluation import ais_enabled, is_enabled
from featureflags.flags.declared import Flag

P = ParamSpec("P")
ResponseT = TypeVar("ResponseT")
ViewFunction = Callable[Concatenate[HttpRequest, P], ResponseT]


def flag_required(
    flag: str | Flag, *, default: bool | None = None
) -> Callable[[ViewFunction[P, ResponseT]], ViewFunction[P, ResponseT]]:
    """A decorator for views: Http404 unless the flag is on for whoever is behind the request.

    `default` is the answer when LaunchDarkly has none; None: the declared default.
    """

    def decorate(view: ViewFunction[P, ResponseT]) -> ViewFunction[P, ResponseT]:
        if iscoroutinefunction(view):
            return cast("ViewFunction[P, ResponseT]", _guard_async(view, flag, default))

        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> ResponseT:
            _refuse_unless(is_enabled(flag, request=request, **_options(default)))
            return view(request, *args, **kwargs)

        return guarded

    return decorate


class FlagRequiredMixin(View):
    """For class-based views; name it before the view's own class."""

    flag_required: str | Flag
    flag_default: bool | None = None
    """The answer when LaunchDarkly has none; None: the declared default."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        flag = getattr(self, "flag_required", None)
        if not flag:
            raise ImproperlyConfigured(f"{type(self).__name__} names no flag in `flag_required`.")
        # Guarded anew for each request: the view that is behind it is this one's, by `super()`.
        view = super().dispatch
        if self.view_is_async:
            guarded = _guard_async(view, flag, self.flag_default)
            return cast("HttpResponseBase", guarded(request, *args, **kwargs))
        return flag_required(flag, default=self.flag_default)(view)(request, *args, **kwargs)


def _guard_async(
    view: Callable[..., Any], flag: str | Flag, default: bool | None
) -> Callable[..., Awaitable[Any]]:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        _refuse_unless(await ais_enabled(flag, request=request, **_options(default)))
        return await view(request, *args, **kwargs)

    return guarded


def _options(default: bool | None) -> dict[str, Any]:
    return {} if default is None else {"default": default}


def _refuse_unless(is_on: bool) -> None:
    if not is_on:
        raise Http404
