"""Views that exist only where a flag is on; everybody else gets 404.

    @flag_required("internal-tools")
    def tools(request): ...

    class Tools(FlagRequiredMixin, TemplateView):
        flag_required = "internal-tools"

Both serve sync and async views. A degraded answer counts like any other. Place `flag_required`
outermost, where it sees the request first.
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
    """A decorator for views: Http404 unless the flag is on for the user of the request.

    `default` is the answer when LaunchDarkly has none; None: the declared default. Raises TypeError
    for a flag that is neither a key nor a `Flag`: the decorator needs its argument.
    """
    if not isinstance(flag, str | Flag):
        raise TypeError(f'A {type(flag).__name__} is not a flag: write @flag_required("flag-key").')

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
            raise ImproperlyConfigured(
                f"{type(self).__name__} must name a flag in `flag_required`."
            )
        # Guarded for each request, since the view that is behind it comes from `super()`.
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
