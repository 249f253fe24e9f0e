"""The site: home page, admin, REST API, and what load balancers and Prometheus ask."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.i18n import JavaScriptCatalog

from config.second_factor import second_factor

# The admin's classes are imported here and not at every start: see `config.apps`.
admin.autodiscover()
admin.site.index_template = "admin/featureflags/index.html"

urlpatterns = [
    path("", include("config.site_urls")),
    # Django's own asks the database who is there, for texts that are the same for everybody: while the
    # database is away, an open form would be without its script.
    path("admin/jsi18n/", JavaScriptCatalog.as_view(packages=["django.contrib.admin"])),
    path("second-factor/", second_factor, name="second_factor"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("config.api_urls")),
    path("ofrep/v1/", include("featureflags.api.ofrep_urls")),
    path("", include("featureflags.api.probe_urls")),
]

handler400 = "featureflags.unavailable.handler400"
handler500 = "featureflags.unavailable.handler500"
