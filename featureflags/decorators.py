"""Views that exist only where a flag is on; everybody else gets 404.

    @flag_required("internal-tools")
    def tools(request): ...

    class Tools(FlagRequiredMixin, TemplateView):
        flag_required = "internal-tools"

`subject` is a function from the request to whom the flag is asked for: a row of any kind, or a list. In
a list None is the user of the request:

    @flag_required("seat-planner", subject=lambda request: [None, request.organization])

Both serve sync and async views. A degraded answer counts like any other. Place `flag_required`
outermost, where it sees the request first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views import View

from featureflags.evaluation import ais_enabled, is_enabled
from featureflags.evaluation.arguments import Subject
from featureflags.flags.declared import Flag

P = ParamSpec("P")
ResponseT = TypeVar("ResponseT")
SubjectOf: TypeAlias = Callable[[HttpRequest], Subject]
ViewFunction = Callable[Concatenate[HttpRequest, P], ResponseT]


def flag_required(
    flag: str | Flag, *, default: bool | None = None, subject: SubjectOf | None = None
) -> Callable[[ViewFunction[P, ResponseT]], ViewFunction[P, ResponseT]]:
    """A decorator for views: Http404 unless the flag is on for the user of the request.

    `default` is the answer when LaunchDarkly has none; None: the declared default. `subject`: for whom
    else it is asked. Raises TypeError for a flag that is neither a key nor a `Flag`: the decorator needs
    its argument.
    """
    if not isinstance(flag, str | Flag):
        raise TypeError(f'A {type(flag).__name__} is not a flag: write @flag_required("flag-key").')

    def decorate(view: ViewFunction[P, ResponseT]) -> ViewFunction[P, ResponseT]:
        if iscoroutinefunction(view):
            return cast("ViewFunction[P, ResponseT]", _guard_async(view, flag, default, subject))

        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> ResponseT:
            whom = None if subject is None else subject(request)
            _refuse_unless(is_enabled(flag, whom, request=request, **_options(default)))
            return view(request, *args, **kwargs)

        return guarded

    return decorate


class FlagRequiredMixin(View):
    """For class-based views; name it before the view's own class."""

    flag_required: str | Flag
    flag_default: bool | None = None
    """The answer when LaunchDarkly has none; None: the declared default."""

    def flag_subject(self, request: HttpRequest) -> Subject:  # noqa: ARG002 - for subclasses
        """For whom the flag is asked; None: the user or visitor of the request."""
        return None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        flag = getattr(self, "flag_required", None)
        if not flag:
            raise ImproperlyConfigured(
                f"{type(self).__name__} must name a flag in `flag_required`."
            )
        # Guarded for each request, since the view that is behind it comes from `super()`.
        view = super().dispatch
        is_own = type(self).flag_subject is not FlagRequiredMixin.flag_subject
        subject = self.flag_subject if is_own else None
        if self.view_is_async:
            guarded = _guard_async(view, flag, self.flag_default, subject)
            return cast("HttpResponseBase", guarded(request, *args, **kwargs))
        required = flag_required(flag, default=self.flag_default, subject=subject)
        return required(view)(request, *args, **kwargs)


def _guard_async(
    view: Callable[..., Any], flag: str | Flag, default: bool | None, subject: SubjectOf | None
) -> Callable[..., Awaitable[Any]]:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        whom = None if subject is None else await _awaited(subject, request)
        _refuse_unless(await ais_enabled(flag, whom, request=request, **_options(default)))
        return await view(request, *args, **kwargs)

    return guarded


async def _awaited(subject: SubjectOf, request: HttpRequest) -> Subject:
    """A plain function may ask the database, which the event loop must not."""
    if iscoroutinefunction(subject):
        return cast("Subject", await subject(request))
    return await sync_to_async(subject)(request)


def _options(default: bool | None) -> dict[str, Any]:
    return {} if default is None else {"default": default}


def _refuse_unless(is_on: bool) -> None:
    if not is_on:
        raise Http404
