"""The REST API of the site: its own views, its OpenAPI schema, and the page that shows it."""

from __future__ import annotations

from typing import Any


def rest_framework(trusted_proxies: int) -> dict[str, Any]:
    """Django's setting REST_FRAMEWORK, for the views of `users`; those of featureflags have their own."""
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "featureflags.api.authentication.ApiKeyAuthentication",
            "users.api.authentication.SessionAuthentication",
        ],
        "NUM_PROXIES": trusted_proxies,
        "DEFAULT_THROTTLE_CLASSES": ["featureflags.api.throttling.CallerThrottle"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        # JSON alone: the browsable pages would ask the database once more to say that it is down.
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["users.api.parsers.JSONParser"],
        "DEFAULT_PAGINATION_CLASS": "featureflags.api.pagination.Pages",
        "DEFAULT_FILTER_BACKENDS": [
            "django_filters.rest_framework.DjangoFilterBackend",
            "rest_framework.filters.SearchFilter",
            "users.api.filters.StableOrderingFilter",
        ],
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "EXCEPTION_HANDLER": "featureflags.api.exceptions.exception_handler",
        "TEST_REQUEST_DEFAULT_FORMAT": "json",
    }


SPECTACULAR_SETTINGS = {
    "TITLE": "Guidon",
    "DESCRIPTION": "LaunchDarkly targeting from your own users.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
