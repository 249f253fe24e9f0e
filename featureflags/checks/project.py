"""Checks of what the project must have around this app: its database, time zones, URLs, packages, beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from featureflags.capture.installation import is_supported
from featureflags.core.conf import FeatureFlagsSettings, Source, app_settings
from featureflags.core.database import primary
from featureflags.core.extras import how_to_install, missing_modules
from featureflags.core.publishing import HAS_CELERY, has_broker
from featureflags.core.timetable import TIMETABLE
from featureflags.flags.declared import declared_flags
from featureflags.models import Segment

try:
    import psycopg
except ImportError:
    HAS_PSYCOPG = False
else:
    HAS_PSYCOPG = bool(psycopg)

try:
    from celery import current_app
except ImportError:  # the extra `celery` is not installed
    current_app = None  # type: ignore[assignment]

REQUEST: Final = "django.template.context_processors.request"
DJANGO_TEMPLATES: Final = "django.template.backends.django.DjangoTemplates"
SEGMENTS_PAGE: Final = "admin:featureflags_segment_changelist"
API_OF_FLAGS: Final = ("flag-list", "flag-detail")
BEAT: Final = "celery.beat:PersistentScheduler"
"""Celery's own, which runs what the settings name."""


@register("featureflags")
def check_database(**_: Any) -> list[CheckMessage]:
    """E050: this app does not work with the database. E051: PostgreSQL without psycopg 3."""
    alias = primary(Segment)
    try:
        connection = connections[alias]
    except ImproperlyConfigured:
        return []  # Django says more itself: the driver is missing, or the engine is misspelt.
    if not is_supported(connection):
        return [
            Error(
                f"DATABASES[{alias!r}] is {connection.display_name}. Guidon works with PostgreSQL and "
                "SQLite: its triggers notice every write, and its SQL counts what a rule matches.",
                hint="Keep the tables of featureflags and of your users in PostgreSQL or SQLite.",
                id="featureflags.E050",
            )
        ]
    if connection.vendor == "postgresql" and not HAS_PSYCOPG:
        return [
            Error(
                f"DATABASES[{alias!r}] is PostgreSQL, and Django reaches it with psycopg2, which does "
                "not pass on what the triggers report: no write of this process would be seen at once.",
                hint='Install psycopg 3, which Django then uses: pip install "psycopg[binary]".',
                id="featureflags.E051",
            )
        ]
    return []


@register("featureflags")
def check_use_tz(**_: Any) -> list[CheckMessage]:
    """E052: instants without a time zone: rules on them would be wrong by the offset of the server."""
    if settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is False: an instant in the database has no time zone, so that rules on dates and "
            "ages would be wrong by the offset of the server, and twice a year by an hour.",
            hint="Set USE_TZ = True. Django's documentation says how to convert what is stored.",
            id="featureflags.E052",
        )
    ]


@register("featureflags")
def check_context_processors(**_: Any) -> list[CheckMessage]:
    """W053: templates do not get the request, so that `{% flag %}` answers for a visitor."""
    engines: list[dict[str, Any]] = settings.TEMPLATES
    return [
        Warning(
            f"TEMPLATES[{number}] lacks the context processor {REQUEST}: a template tag does not know "
            "who is there, and answers for a visitor.",
            hint="Add it to OPTIONS['context_processors'].",
            id="featureflags.W053",
        )
        for number, engine in enumerate(engines)
        if engine.get("BACKEND") == DJANGO_TEMPLATES
        and REQUEST not in engine.get("OPTIONS", {}).get("context_processors", [])
    ]


@register("featureflags")
def check_urls(**_: Any) -> list[CheckMessage]:
    """W054: the admin is installed, and no address leads to it. W055: flags are declared for browsers,
    and no address answers them."""
    if not getattr(settings, "ROOT_URLCONF", ""):
        return []  # A project of commands and workers alone.
    return [*_of_admin(), *_of_client_side_flags()]


def _of_admin() -> Iterator[CheckMessage]:
    if not apps.is_installed("django.contrib.admin"):
        return
    try:
        reverse(SEGMENTS_PAGE)
    except NoReverseMatch:
        yield Warning(
            "The admin is installed, but no address leads to the pages of segments and flags.",
            hint='Add to your URLs: path("admin/", admin.site.urls). On an AdminSite of your own, '
            "register the classes of featureflags.admin.",
            id="featureflags.W054",
        )


def _of_client_side_flags() -> Iterator[CheckMessage]:
    keys = sorted(key for key, flag in declared_flags().items() if flag.client_side)
    if keys and not any(name in API_OF_FLAGS for name in _names(get_resolver().url_patterns)):
        yield Warning(
            f"Flags are declared with client_side=True ({', '.join(keys)}), but no address answers a "
            "browser that asks for them.",
            hint='Add to your URLs: path("", include("featureflags.urls")), and install the API: '
            f"{how_to_install('api')}, with rest_framework in INSTALLED_APPS.",
            id="featureflags.W055",
        )


def _names(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    """The names of all addresses, those of included ones too."""
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _names(each.url_patterns)
        elif each.name:
            yield each.name


@register("featureflags")
def check_schema(**_: Any) -> list[CheckMessage]:
    """W058: the project draws the schema of the API with settings that make it wrong."""
    if not apps.is_installed("drf_spectacular") or not getattr(settings, "ROOT_URLCONF", ""):
        return []
    given: dict[str, Any] = getattr(settings, "SPECTACULAR_SETTINGS", {})
    lacking = [
        wanted
        for wanted, is_there in (
            ('"OAS_VERSION": "3.1.0"', str(given.get("OAS_VERSION", "")).startswith("3.1")),
            ('"COMPONENT_SPLIT_REQUEST": True', given.get("COMPONENT_SPLIT_REQUEST") is True),
        )
        if not is_there
    ]
    if not lacking or not any(name in API_OF_FLAGS for name in _names(get_resolver().url_patterns)):
        return []
    return [
        Warning(
            f"SPECTACULAR_SETTINGS lacks {' and '.join(lacking)}: the schema of the API says that a request "
            "needs what only an answer has, or breaks JSON Schema, so that generated clients are wrong.",
            hint="Add it where drf-spectacular draws the schema of these addresses too.",
            id="featureflags.W058",
        )
    ]


@register("featureflags")
def check_site_url(**_: Any) -> list[CheckMessage]:
    """W059: e-mails are sent, and nothing says where the site is, so that they can only name a path."""
    given = app_settings()
    if not given.mail_notices or given.site_url:
        return []
    return [
        Warning(
            "FEATUREFLAGS['MAIL_NOTICES'] is on and FEATUREFLAGS['SITE_URL'] is empty: nobody can open a "
            "proposal from its e-mail.",
            hint="Set SITE_URL to the address at which people open the site: https://flags.example.com",
            id="featureflags.W059",
        )
    ]


@register("featureflags")
def check_extras(**_: Any) -> list[CheckMessage]:
    """E056: a setting needs a package that is not installed."""
    given = app_settings()
    return [
        Error(
            f"{setting} needs {' and '.join(missing)}, which {_is_or_are(missing)} not installed.",
            hint=f"{how_to_install(extra)}, or remove the setting.",
            id="featureflags.E056",
        )
        for setting, extra in _extras_in_use(given)
        if (missing := missing_modules(extra))
    ]


def _extras_in_use(given: FeatureFlagsSettings) -> Iterator[tuple[str, str]]:
    """Settings that need an extra, and its name."""
    if given.spare_url:
        yield "FEATUREFLAGS['SPARE_URL']", "redis"
    if given.source == Source.DAEMON:
        yield "FEATUREFLAGS['SOURCE']", "redis"
    if given.api_token:
        yield "FEATUREFLAGS['API_TOKEN']", "sync"
    if given.entry_keys:
        yield "FEATUREFLAGS['ENTRY_KEYS']", "encryption"
    if given.tracing:
        yield "FEATUREFLAGS['TRACING']", "tracing"
    if given.sync_segments:
        yield "FEATUREFLAGS['SYNC_SEGMENTS']", "sync"


def _is_or_are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


@register("featureflags")
def check_beat(**_: Any) -> list[CheckMessage]:
    """W057: Celery has workers, and its schedule lacks tasks of this app."""
    if not HAS_CELERY or not has_broker():
        return []
    conf = current_app.conf
    if conf.beat_scheduler != BEAT:
        return []  # Its schedule may lie in a database.
    entries: dict[str, dict[str, Any]] = conf.beat_schedule or {}
    planned = {entry.get("task") for entry in entries.values()}
    missing = [entry.task for entry in TIMETABLE if entry.task not in planned]
    if not missing:
        return []
    return [
        Warning(
            f"CELERY_BEAT_SCHEDULE lacks {', '.join(missing)}: segments are not counted each hour, and "
            "what a broker did not take is not done later.",
            hint="CELERY_BEAT_SCHEDULE = {**featureflags.celery.schedule(), **your_own}",
            id="featureflags.W057",
        )
    ]
