"""`/healthz`, `/readyz` and `/metrics`. A project that has such addresses itself includes them below a
prefix: `path("guidon/", include("featureflags.api.probe_urls"))`."""

from __future__ import annotations

from django.urls import path

from featureflags.api.health import health, metrics, ready

urlpatterns = [
    path("healthz", health, name="health"),
    path("readyz", ready, name="ready"),
    path("metrics", metrics, name="metrics"),
]
