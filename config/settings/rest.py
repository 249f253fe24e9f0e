"""The REST API: its rules, its schema, and which pages of other origins may call it."""

from __future__ import annotations

from config.settings.environment import env

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "featureflags.api.authentication.ApiKeyAuthentication",
        "featureflags.api.credentials.SessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["featureflags.api.throttling.CallerThrottle"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    # JSON alone: the browsable pages would ask the database once more to say that it is down.
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["featureflags.api.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "featureflags.api.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "featureflags.api.filters.WordsFilter",
        "featureflags.api.filters.StableOrderingFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "featureflags.api.exceptions.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# Browsers of these origins may call the API and OFREP with an API key; never with a session's cookie.
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(api|ofrep)/v1/"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = (
    *("accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match"),
    "x-api-key",
)
CORS_EXPOSE_HEADERS = ("ETag", "Idempotency-Replayed", "Retry-After", "X-Request-ID")
CORS_PREFLIGHT_MAX_AGE = 600

SPECTACULAR_SETTINGS = {
    # OFREP has addresses of its own: without it operations would be named by the whole path.
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "TITLE": "Guidon",
    "DESCRIPTION": "LaunchDarkly targeting from your own users.",
    "VERSION": "1",
    # JSON Schema itself, so that any validator can check an answer.
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "MemberKindEnum": "featureflags.models.SegmentMember.Kind",
        "ChangeKindEnum": "featureflags.models.HistoryEntry.Kind",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    # The schema is the same for everybody: also for a key that may only evaluate.
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
