"""The addresses of OFREP, without a slash at their ends: its clients follow no redirect."""

from __future__ import annotations

from django.urls import path, re_path

from featureflags.api.ofrep import FlagsView, FlagView, UnknownView

urlpatterns = [
    path("evaluate/flags", FlagsView.as_view(), name="ofrep-flags"),
    # A key may hold a slash as a caller sends it: that is 404 like any other unknown key.
    path("evaluate/flags/<path:key>", FlagView.as_view(), name="ofrep-flag"),
    # With a line break too, which `<path:…>` does not match.
    re_path(r"^evaluate/flags/(?P<key>[\s\S]+)\Z", FlagView.as_view(schema=None)),
    re_path(r"^(?P<unknown>[\s\S]*)\Z", UnknownView.as_view()),
]
