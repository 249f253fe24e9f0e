"""The site: home page, admin, REST API."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("config.site_urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("config.api_urls")),
]
