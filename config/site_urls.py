"""The pages of the site itself. `config.urls` includes them at the root."""

from __future__ import annotations

from django.urls import path

from config.views import home

urlpatterns = [
    path("", home, name="home"),
]
