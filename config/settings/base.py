"""Settings that every environment shares. Servers are chosen by variables; see `.env.example`.

Without any variable the embedded default holds: SQLite, a cache in files, flags from a file,
and Celery tasks that run in the calling process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery.schedules import crontab
from csp.constants import NONE, SELF

from config.settings.caches import embedded_caches, redis_caches
from config.settings.databases import KEEPALIVE, database
from config.settings.environment import BASE_DIR, VAR_DIR, boolean, decimal, env, url, whole
from config.settings.logins import *
from config.settings.logins import STAFF_TOTP
from config.settings.logs import logging
from config.settings.rest import *
from featureflags.celery import schedule

DEBUG = False
SECRET_KEY = env.str("SECRET_KEY", default="insecure-development-key")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "config.apps.AdminConfig",
    "django.forms",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "csp",
    "cachalot",
    "axes",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "users",
    "featureflags",
    "config.apps.ProjectConfig",
]

MIDDLEWARE = [
    # Before all others, so that each line of the log says which request it belongs to.
    "config.request_log.RequestLogMiddleware",
    # Before whatever looks at the Host header.
    "featureflags.api.probe_middleware.ProbeMiddleware",
    # Before whatever asks a server.
    "featureflags.core.deadlines.DeadlineMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "featureflags.middleware.InputGateMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "featureflags.middleware.FeatureFlagsMiddleware",
    "users.middleware.LastSeenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    # Nearest to the view: a page that could not be made is an answer like any other.
    "featureflags.unavailable.UnavailableMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# So that a widget's template in `templates` takes the place of Django's.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Where things are kept ---------------------------------------------------------------------

DATABASES = {"default": database(env, VAR_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = url("REDIS_URL")
REDIS_SENTINELS: list[str] = env.list("REDIS_SENTINELS", default=[])
CACHES: dict[str, dict[str, Any]] = (
    redis_caches(REDIS_URL, sentinels=REDIS_SENTINELS)
    if REDIS_URL
    else embedded_caches(VAR_DIR / "cache")
)

# A session that is in the cache is found without the database: flags answer when it is down.
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# cachalot serves the segment tables' list queries and nothing else. A reader that races a write
# can leave old rows in it, and a Redis that was cut off has missed writes: hence a timeout that
# keeps all within 5 seconds, and compiled rules never come from it.
CACHALOT_CACHE = "cachalot"
CACHALOT_TIMEOUT = 4
CACHALOT_ONLY_CACHABLE_TABLES = ("featureflags_segment", "featureflags_segmentmember")
# cachalot knows the backends that it supports by name; ours are subclasses of some of them.
CACHALOT_ADDITIONAL_SUPPORTED_DATABASES = {"featureflags.core.postgresql"}
SILENCED_SYSTEM_CHECKS = ["cachalot.W001"]

# --- What a page may do in a browser -----------------------------------------------------------

# Scripts and styles are files of ours, never inline: nothing that somebody typed can become one.
# The API's documentation has a policy of its own; see `config.api_urls`.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# --- Users -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
# The first refuses a login where too many failed; it knows no user.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "users.backends.EmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
if STAFF_TOTP:
    INSTALLED_APPS.insert(-1, "django_otp")
    INSTALLED_APPS.insert(-1, "django_otp.plugins.otp_totp")
    MIDDLEWARE.append("config.second_factor.SecondFactorMiddleware")
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

# --- Feature flags -----------------------------------------------------------------------------

FEATUREFLAGS = {
    # The e-mail domains of the company, for the segment `employee` of the first `migrate`.
    "EMPLOYEE_DOMAINS": ["agpt.co"],
    # Where the flags of this project are declared: a list of featureflags.flags.Flag.
    "FLAGS": "config.flags.FLAGS",
    # Attributes of this project's own: dotted paths to featureflags.contexts.attributes.Attribute.
    "ATTRIBUTES": [],
    # The cache alias that holds snapshots. It should raise when it fails: we count and survive it.
    "CACHE": "featureflags",
    "ENTRY_KEYS": env.list("ENTRY_KEYS", default=[]),
    "SNAPSHOT_SECONDS": whole("SNAPSHOT_SECONDS", 24 * 3600),
    "STALE_SECONDS": decimal("STALE_SECONDS", 0.0),
    "WARM_ACTIVE_DAYS": whole("WARM_ACTIVE_DAYS", 7),
    "IMPACT_SECONDS": decimal("IMPACT_SECONDS", 1.0),
    "WARM_RENEW_SECONDS": whole("WARM_RENEW_SECONDS", 12 * 3600),
    "WARM_AT_ONCE": whole("WARM_AT_ONCE", 0),
    "WARM_USERS_PER_SECOND": whole("WARM_USERS_PER_SECOND", 0),
    "CONFIRM_PERCENT": decimal("CONFIRM_PERCENT", 10.0),
    "CONFIRM_USERS": whole("CONFIRM_USERS", 1000),
    "APPROVE_LIVE_SEGMENTS": boolean("APPROVE_LIVE_SEGMENTS", default=False),
    "PLAN_TOLERANCE_PERCENT": decimal("PLAN_TOLERANCE_PERCENT", 10.0),
    "MAIL_NOTICES": boolean("MAIL_NOTICES", default=False),
    "SITE_URL": env.str("SITE_URL", default=""),
    "PRIVATE_ATTRIBUTES": env.list("LAUNCHDARKLY_PRIVATE_ATTRIBUTES", default=["email", "name"]),
    # What is sent at all: all that the catalogue allows, and of the metadata what is named here.
    "LAUNCHDARKLY_ATTRIBUTES": env.list(
        "LAUNCHDARKLY_ATTRIBUTES", default=["*", "custom_role", "custom_plan", "custom_country"]
    ),
    "SEGMENTS_AS": env.str("LAUNCHDARKLY_SEGMENTS_AS", default="both"),
    # In development an attribute that is not JSON raises; in production it is dropped and counted.
    "RAISE_INVALID_ATTRIBUTES": False,
    "SDK_KEY": env.str("LAUNCHDARKLY_SDK_KEY", default=""),
    "CLIENT_SIDE_ID": env.str("LAUNCHDARKLY_CLIENT_SIDE_ID", default=""),
    "FLAG_FILE": env.str("LAUNCHDARKLY_FLAG_FILE", default=str(VAR_DIR / "flags.json")),
    # auto, streaming, polling, daemon, file, test-data or offline.
    "SOURCE": env.str("LAUNCHDARKLY_SOURCE", default="auto"),
    "POLL_SECONDS": decimal("LAUNCHDARKLY_POLL_SECONDS", 30.0),
    "DAEMON_URL": url("LAUNCHDARKLY_DAEMON_URL"),
    "DAEMON_PREFIX": env.str("LAUNCHDARKLY_DAEMON_PREFIX", default="launchdarkly"),
    # The last known flags, for a start without LaunchDarkly.
    "SPARE_URL": url("LAUNCHDARKLY_SPARE_URL", default="" if REDIS_SENTINELS else REDIS_URL),
    "SUMMARY_EVENTS_ONLY": boolean("LAUNCHDARKLY_SUMMARY_EVENTS_ONLY", default=False),
    "VISITOR_EVENTS": env.str("LAUNCHDARKLY_VISITOR_EVENTS", default="returning"),
    "CONTEXT_KEYS_CAPACITY": whole("LAUNCHDARKLY_CONTEXT_KEYS_CAPACITY", 10_000),
    # How long a request waits for PostgreSQL (each query) and Redis (all calls), in seconds.
    "FLAG_CHECK_DATABASE_SECONDS": decimal("FLAG_CHECK_DATABASE_SECONDS", 0.1),
    "FLAG_CHECK_REDIS_SECONDS": decimal("FLAG_CHECK_REDIS_SECONDS", 0.06),
    "PAGE_DATABASE_SECONDS": decimal("PAGE_DATABASE_SECONDS", 2.0),
    "PAGE_REDIS_SECONDS": decimal("PAGE_REDIS_SECONDS", 0.25),
    "ADMIN_DATABASE_SECONDS": decimal("ADMIN_DATABASE_SECONDS", 15.0),
    # Calls of the API in a minute; 0: no limit.
    "TRUSTED_PROXIES": whole("TRUSTED_PROXIES", 0),
    "THROTTLE_KEY": whole("THROTTLE_KEY", 60_000),
    "THROTTLE_USER": whole("THROTTLE_USER", 1_200),
    "THROTTLE_ADDRESS": whole("THROTTLE_ADDRESS", 6_000),
    "THROTTLE_WRONG_KEYS": whole("THROTTLE_WRONG_KEYS", 30),
    "LIVE_STREAMS": whole("LIVE_STREAMS", 2_000),
    "LIVE_STREAMS_ELSEWHERE": boolean("LIVE_STREAMS_ELSEWHERE", default=False),
    "WEBHOOK_PRIVATE_ADDRESSES": boolean("WEBHOOK_PRIVATE_ADDRESSES", default=False),
    # NAME ADDRESS KEY of each, with commas between them.
    "INSTALLATIONS": env.list("INSTALLATIONS", default=[]),
    "SIZE_JUMP_PERCENT": decimal("SIZE_JUMP_PERCENT", 20.0),
    "TESTERS": boolean("FLAG_TESTERS", default=False),
    "TRACING": boolean("FLAG_TRACING", default=False),
    "METRICS_TOKEN": env.str("METRICS_TOKEN", default=""),
    "BASE_URI": env.str("LAUNCHDARKLY_BASE_URI", default=""),
    "STREAM_URI": env.str("LAUNCHDARKLY_STREAM_URI", default=""),
    "EVENTS_URI": env.str("LAUNCHDARKLY_EVENTS_URI", default=""),
    "SEND_EVENTS": boolean("LAUNCHDARKLY_SEND_EVENTS", default=True),
    # The REST API, which `sync_segments` writes to.
    "API_TOKEN": env.str("LAUNCHDARKLY_API_TOKEN", default=""),
    "API_URL": env.str("LAUNCHDARKLY_API_URL", default="https://app.launchdarkly.com"),
    "PROJECT": env.str("LAUNCHDARKLY_PROJECT", default=""),
    "ENVIRONMENT": env.str("LAUNCHDARKLY_ENVIRONMENT", default=""),
    "SYNC_SEGMENTS": boolean("LAUNCHDARKLY_SYNC_SEGMENTS", default=False),
    "SYNC_TAG": env.str("LAUNCHDARKLY_SYNC_TAG", default="guidon"),
    "DEMO": "config.demo",
    "START_WAIT": decimal("LAUNCHDARKLY_START_WAIT", 2.0),
}

# --- E-mail ------------------------------------------------------------------------------------

EMAIL_HOST = env.str("EMAIL_HOST", default="")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = env.int("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="guidon@localhost")

# --- Celery ------------------------------------------------------------------------------------

BROKER_URL = url("CELERY_BROKER_URL")
# No broker: a task runs in the process that calls it, and `run_due_tasks` takes the place of beat.
CELERY_TASK_ALWAYS_EAGER = not BROKER_URL
# Nothing goes through it then, but without any address Celery warns that it takes localhost.
CELERY_BROKER_URL = BROKER_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS = KEEPALIVE if BROKER_URL.startswith("redis") else {}
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Its lines are ours, with the id of the task.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    **schedule(broker=bool(BROKER_URL)),
    "clear-sessions": {
        "task": "users.tasks.clear_expired_sessions",
        "schedule": crontab(hour="4", minute="5"),
    },
}

# --- Language, time, files, log ----------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# Where `make docs` puts the documentation, and the address /docs/ finds it.
DOCS_ROOT = BASE_DIR / "var" / "docs"

LOGGING: dict[str, Any] = logging(has_broker=bool(BROKER_URL))
