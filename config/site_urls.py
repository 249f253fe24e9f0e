"""The pages of the site itself. `config.urls` includes them at the root."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from config.documentation import documentation
from config.views import favicon, home

urlpatterns = [
    path("", home, name="home"),
    path("favicon.ico", favicon, name="favicon"),
    path("docs/", documentation, name="documentation"),
    path("docs/<path:path>", documentation, name="documentation_file"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
