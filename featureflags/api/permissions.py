"""A DRF permission that a flag decides."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404
from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.requests import http_request
from featureflags.evaluation import is_enabled
from featureflags.evaluation.arguments import Subject
from featureflags.flags.declared import Flag


def flag_permission(
    flag: str | Flag,
    *,
    default: bool | None = None,
    hidden: bool = True,
    subject: Callable[[Request], Subject] | None = None,
) -> type[permissions.BasePermission]:
    """A permission class: the flag is on for the user of the request.

        permission_classes = [IsAuthenticated, flag_permission("internal-tools")]

    When it is off the endpoint answers 404, as `flag_required` does. With `hidden=False` it
    denies (401 or 403) instead; use that to combine it with others by `|` and `~`. `default` is
    the answer when LaunchDarkly has none; None: the declared default. `subject` is a function from the
    request to whom the flag is asked for: a row of any kind, or a list, in which None is the user of the
    request.

    Raises TypeError for a flag that is neither a key nor a `Flag`, ValueError for an e-mail address:
    it would be sent to LaunchDarkly as the key of a flag.
    """
    _refuse_no_flag(flag)

    class FlagPermission(permissions.BasePermission):
        def has_permission(self, request: Request, _view: APIView) -> bool:
            inner = http_request(request)
            whom = None if subject is None else subject(request)
            if default is None:
                allowed = is_enabled(flag, whom, request=inner)
            else:
                allowed = is_enabled(flag, whom, request=inner, default=default)
            if hidden and not allowed:
                raise Http404
            return allowed

    return FlagPermission


def _refuse_no_flag(flag: object) -> None:
    if not isinstance(flag, str | Flag):
        raise TypeError(
            f'A {type(flag).__name__} is not a flag: write flag_permission("flag-key").'
            " The user comes with the request."
        )
    if "@" in str(flag):
        # The message leaves the text out: it may be an address, and errors are logged.
        raise ValueError('The key of a flag must not contain an @: flag_permission("flag-key").')
