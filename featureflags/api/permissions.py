"""A DRF permission that a flag decides."""

from __future__ import annotations

from django.http import Http404
from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.requests import http_request
from featureflags.evaluation import is_enabled
from featureflags.flags.declared import Flag


def flag_permission(
    flag: str | Flag, *, default: bool | None = None, hidden: bool = True
) -> type[permissions.BasePermission]:
    """A permission class: the flag is on for whoever asks.

        permission_classes = [IsAuthenticated, flag_permission("internal-tools")]

    When it is off the endpoint answers 404, as `flag_required` does. With `hidden=False` it
    denies (401 or 403) instead; use that to combine it with others by `|` and `~`. `default` is
    the answer when LaunchDarkly has none; None: the declared default.
    """

    class FlagPermission(permissions.BasePermission):
        def has_permission(self, request: Request, _view: APIView) -> bool:
            inner = http_request(request)
            if default is None:
                allowed = is_enabled(flag, request=inner)
            else:
                allowed = is_enabled(flag, request=inner, default=default)
            if hidden and not allowed:
                raise Http404
            return allowed

    return FlagPermission
