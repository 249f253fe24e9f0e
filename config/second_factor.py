"""A second factor for staff (`STAFF_TOTP`): after the password, a code of an app on their phone.

The session remembers that its user gave a code. Until then staff reach neither the admin nor the REST
API by their session; pages and flag checks go on. Who has no device yet registers one on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import segno
from django import forms
from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from featureflags.api.problems import CONTENT_TYPE, problem
from featureflags.core.types import REQUEST_ID

PASSED: Final = "second_factor"
"""In the session: the key of the user who gave a code."""
FORBIDDEN: Final = 403
METRICS: Final = "metrics"
"""The name of the address that staff read figures at."""
FLAG_CHECK: Final = "flag_check"
"""The purpose of a view that answers flags."""
DIGITS: Final = 6
SIZE_OF_MODULE: Final = 5
"""Pixels of one square of the QR code."""


class CodeForm(forms.Form):
    """The code that the app shows."""

    code = forms.RegexField(
        r"^\s*\d{3}\s?\d{3}\s*$",
        label=_("Code"),
        error_messages={"invalid": _("Enter the six digits that the app shows.")},
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}
        ),
    )


class SecondFactorMiddleware(MiddlewareMixin):
    """Holds staff back from the admin, the API and the metrics until they gave a code. Place it last."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        match = request.resolver_match
        # Not by the path: under a prefix (SCRIPT_NAME) it begins otherwise than the reversed address.
        names = [] if match is None else match.app_names
        url_name = None if match is None else match.url_name
        is_admin = "admin" in names
        if not (is_admin or url_name == METRICS or _is_of_the_api(view)):
            return None
        if (is_admin and url_name == "logout") or not is_wanted(request):
            return None
        if is_admin:
            address = reverse("second_factor")
            return redirect(f"{address}?{urlencode({'next': request.get_full_path()})}")
        detail = "This session has given no second factor. Log in to the admin, or use a token."
        body = problem(FORBIDDEN, {"detail": detail}, request_id=request.META.get(REQUEST_ID))
        return JsonResponse(body, status=FORBIDDEN, content_type=CONTENT_TYPE)


def _is_of_the_api(view: Callable[..., Any]) -> bool:
    """False for a view that only answers the session's own flags: these need no code."""
    view_class = getattr(view, "cls", None)
    own_flags = getattr(view_class, "purpose", None) == FLAG_CHECK
    is_own = own_flags and not getattr(view_class, "is_about_others", False)
    return view_class is not None and not is_own


def is_wanted(request: HttpRequest) -> bool:
    """Whether the user of this session is staff and has given no code in it."""
    user = request.user
    if not (user.is_authenticated and user.is_staff):
        return False
    return request.session.get(PASSED) != str(user.pk)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for a code; show the secret to who has no device yet."""
    if not settings.STAFF_TOTP:
        raise Http404
    if not request.user.is_staff:
        raise PermissionDenied
    device = _device(request)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        # The device counts failures in the database, and waits longer after each.
        if device.verify_token("".join(form.cleaned_data["code"].split())):
            return _pass(request, device)
        form.add_error("code", _("This code is wrong, or was used before. Wait for the next one."))
    values = {"form": form, "next": request.GET.get("next", "")}
    if not device.confirmed:
        secret = device.config_url.partition("secret=")[2].partition("&")[0]
        values |= {"qr": _qr(device.config_url), "secret": secret}
    return render(request, "registration/second_factor.html", values)


def _device(request: HttpRequest) -> Any:
    """The user's device; a new one, not confirmed, if there is none."""
    own = devices().filter(user=request.user).order_by("-confirmed", "pk")
    return own.first() or devices().create(user=request.user, name="phone", confirmed=False)


def devices() -> Any:
    """The manager of django-otp's devices, which are installed only where STAFF_TOTP is on."""
    model = apps.get_app_config("otp_totp").get_model("TOTPDevice")
    return model._default_manager


def _pass(request: HttpRequest, device: Any) -> HttpResponse:
    if not device.confirmed:
        device.confirmed = True
        device.save(update_fields=["confirmed"])
    request.session.cycle_key()
    request.session[PASSED] = str(request.user.pk)
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(wanted if is_ours else reverse("admin:index"))


def _qr(text: str) -> SafeString:
    code: str = segno.make(text).svg_inline(scale=SIZE_OF_MODULE, light="white")
    return mark_safe(code)  # noqa: S308 - drawn by segno; the text is only its pattern
