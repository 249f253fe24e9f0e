"""Everything that this app answers beside the admin's pages, with the names `featureflags:…`.

    path("", include("featureflags.urls"))

| address | from | needs |
|---|---|---|
| `/healthz`, `/readyz`, `/metrics` | `featureflags.api.probe_urls` | |
| `/api/v1/…` | `featureflags.api.urls` | the extra `api`, and `rest_framework` in INSTALLED_APPS |
| `/ofrep/v1/…` | `featureflags.api.ofrep_urls` | the same |

A project that wants other addresses includes these one by one.
"""

from __future__ import annotations

from django.apps import apps
from django.urls import include, path

from featureflags.core.extras import missing_modules

app_name = "featureflags"

urlpatterns = [path("", include("featureflags.api.probe_urls"))]

if apps.is_installed("rest_framework") and not missing_modules("api"):
    urlpatterns += [
        path("api/v1/", include("featureflags.api.urls")),
        path("ofrep/v1/", include("featureflags.api.ofrep_urls")),
    ]
