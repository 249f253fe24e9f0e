"""The OpenAPI schema of the REST API, and the page that shows it."""

from __future__ import annotations

SPECTACULAR_SETTINGS = {
    "TITLE": "Guidon",
    "DESCRIPTION": "LaunchDarkly targeting from your own users.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
