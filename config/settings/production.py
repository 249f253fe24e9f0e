"""Production: refuses to start while a secret or a server is missing, and says which."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *
from config.settings.base import BROKER_URL, FEATUREFLAGS, REDIS_URL, SECRET_KEY
from config.settings.environment import INSECURE_SECRETS, env
from config.settings.logs import logging

SHORTEST_SECRET_KEY = 50
"""The length below which Django's own deployment check warns (security.W009)."""


def problems() -> list[str]:
    """What prevents a safe start, one sentence for each variable."""
    found = []
    if SECRET_KEY in INSECURE_SECRETS or len(SECRET_KEY) < SHORTEST_SECRET_KEY:
        found.append(
            f"SECRET_KEY is missing, a default, or shorter than {SHORTEST_SECRET_KEY} characters."
        )
    if not env.str("DATABASE_URL", default="").startswith(("postgres://", "postgresql://")):
        found.append(
            "DATABASE_URL is missing or names no PostgreSQL (postgres://user:…@host/name)."
        )
    if not REDIS_URL:
        found.append("REDIS_URL is missing (redis://host:6379/0).")
    if not BROKER_URL:
        found.append("CELERY_BROKER_URL is missing (redis://host:6379/1).")
    if not env.list("ALLOWED_HOSTS", default=[]):
        found.append("ALLOWED_HOSTS is missing (flags.example.com,…).")
    needs_no_key = FEATUREFLAGS["SOURCE"] in {"daemon", "file", "offline"}
    has_file = bool(env.str("LAUNCHDARKLY_FLAG_FILE", default=""))
    if FEATUREFLAGS["SDK_KEY"] in INSECURE_SECRETS and not (needs_no_key or has_file):
        found.append(
            "LAUNCHDARKLY_SDK_KEY is missing or a default (or set LAUNCHDARKLY_FLAG_FILE)."
        )
    return found


if found := problems():
    raise ImproperlyConfigured("Production settings are incomplete:\n- " + "\n- ".join(found))

DEBUG = False
LOGGING = logging(has_broker=bool(BROKER_URL), default_format="json")
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=False)
"""A trial without TLS: a browser keeps a cookie that is marked secure from any site without it, but
localhost, so that nobody could log in."""
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not INSECURE_HTTP)
if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
    # Only behind a proxy that sets it: otherwise a browser could claim to be secure.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if INSECURE_HTTP else 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=True)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
