"""The site: home page, admin, REST API, and what load balancers and Prometheus ask."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.i18n import JavaScriptCatalog

from featureflags.admin.flag_previews import choose_flags
from featureflags.api.health import health, metrics, ready

# The admin's classes are imported here and not at every start: see `config.apps`.
admin.autodiscover()

urlpatterns = [
    path("", include("config.site_urls")),
    path("admin/feature-flags/testing/", admin.site.admin_view(choose_flags), name="tester_flags"),
    # Django's own asks the database who is there, for texts that are the same for everybody: while the
    # database is away, an open form would be without its script.
    path("admin/jsi18n/", JavaScriptCatalog.as_view(packages=["django.contrib.admin"])),
    path("admin/", admin.site.urls),
    path("api/v1/", include("config.api_urls")),
    path("healthz", health, name="health"),
    path("readyz", ready, name="ready"),
    path("metrics", metrics, name="metrics"),
]

handler500 = "config.unavailable.handler500"
