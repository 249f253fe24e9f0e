"""Checks of `settings.FEATUREFLAGS` and of what the settings of Django must have for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import (
    CheckMessage,
    Error,
    Tags,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.utils.module_loading import import_string

from featureflags.contexts.privacy import misspelt_private_names, sends_segments, useless_names
from featureflags.core.conf import Source, app_settings, setting_problems, source_of
from featureflags.launchdarkly.rest.configuration import missing_variables

MIDDLEWARE = "featureflags.middleware.FeatureFlagsMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
HTTP_SCHEMES = ("http://", "https://")
FLAG_FILE_VARIABLE = "LAUNCHDARKLY_FLAG_FILE"


@register("featureflags")
def check_settings(**_: Any) -> list[CheckMessage]:
    """E016: a setting has the wrong type. E017: its value is not allowed. E018: its name is unknown.
    E019: a key of another kind. E010: CACHE names no cache."""
    return [Error(each.words, hint=each.hint, id=each.id) for each in setting_problems()]


@register("featureflags")
def check_flag_file(**_: Any) -> list[CheckMessage]:
    """W020: flags come from a file that does not exist.

    Silent where the path is a default and the project has a demo: `seed_demo` writes the file.
    """
    given = app_settings()
    if source_of(given) is not Source.FILE or Path(given.flag_file).is_file():
        return []
    if given.demo and not os.environ.get(FLAG_FILE_VARIABLE):
        return []
    return [
        Warning(
            f"FEATUREFLAGS['FLAG_FILE'] ({FLAG_FILE_VARIABLE}) does not exist: {given.flag_file}.",
            hint="Until it does, every flag has its default, degraded by launchdarkly_unavailable.",
            id="featureflags.W020",
        )
    ]


@register("featureflags", Tags.database)
def check_time_zones(**_: Any) -> list[CheckMessage]:
    """E024: a database without time zones keeps instants in another zone than UTC."""
    return [
        Error(
            f"DATABASES[{alias!r}]['TIME_ZONE'] is {zone!r}, so that rules on dates "
            "would be wrong by its offset.",
            hint="Remove it: instants are stored in UTC.",
            id="featureflags.E024",
        )
        for alias, database in settings.DATABASES.items()
        if (zone := database.get("TIME_ZONE")) not in {None, "UTC"}
    ]


@register("featureflags", Tags.caches)
def check_cache(**_: Any) -> list[CheckMessage]:
    """W021: the cache cannot hold snapshots: it is of one process, or has no compare-and-swap."""
    alias = app_settings().cache
    backend = str(settings.CACHES.get(alias, {}).get("BACKEND", ""))
    try:
        is_able = alias not in settings.CACHES or hasattr(import_string(backend), "send_swap")
    except ImportError:
        is_able = True  # Its first use says which package is missing.
    if is_able:
        return []
    return [
        Warning(
            f"FEATUREFLAGS['CACHE'] is {alias!r}, and CACHES[{alias!r}] uses {backend}, which cannot "
            "hold users: no user is cached, and each flag check asks the database.",
            hint="Name an alias with the BACKEND featureflags.cache.backends.redis.SharedRedisCache and "
            "the LOCATION of a Redis; or, on one machine, with "
            "featureflags.cache.backends.file.SharedFileCache and a folder.",
            id="featureflags.W021",
        )
    ]


@register("featureflags")
def check_sent_attributes(**_: Any) -> list[CheckMessage]:
    """W012: LAUNCHDARKLY_ATTRIBUTES names what does not exist or is withheld. W013: it leaves out
    `segments`."""
    messages: list[CheckMessage] = [
        Warning(
            f"FEATUREFLAGS['LAUNCHDARKLY_ATTRIBUTES'] contains {name!r}, which {why}.",
            id="featureflags.W012",
        )
        for name, why in useless_names().items()
    ]
    if not sends_segments():
        messages.append(
            Warning(
                "LAUNCHDARKLY_ATTRIBUTES leaves out segments: no rule in LaunchDarkly can target one.",
                hint="Add segments to the list.",
                id="featureflags.W013",
            )
        )
    return messages


@register("featureflags")
def check_private_attributes(**_: Any) -> list[CheckMessage]:
    """W023: PRIVATE_ATTRIBUTES contains a name that is nearly that of an attribute."""
    return [
        Warning(
            f"FEATUREFLAGS['PRIVATE_ATTRIBUTES'] contains {name!r}, which is not an attribute.",
            hint=f"Did you mean {meant!r}? Until then that one is not private.",
            id="featureflags.W023",
        )
        for name, meant in misspelt_private_names().items()
    ]


@register("featureflags")
def check_syncing(**_: Any) -> list[CheckMessage]:
    """W014: SYNC_SEGMENTS is on, and what its calls need is not set: each save only logs that."""
    given = app_settings()
    if not given.sync_segments:
        return []
    missing = missing_variables(project=given.project, environment=given.environment)
    if not missing:
        return []
    return [
        Warning(
            "LAUNCHDARKLY_SYNC_SEGMENTS is on, but no segment can be written to LaunchDarkly. "
            f"Not set: {', '.join(missing)}.",
            hint="Set them, or switch it off.",
            id="featureflags.W014",
        )
    ]


@register("featureflags")
def check_addresses(**_: Any) -> list[CheckMessage]:
    """E015: an address cannot be right. It is not shown, since it may contain a password."""
    given = app_settings()
    wanted = {
        "SPARE_URL": (given.spare_url, REDIS_SCHEMES),
        "DAEMON_URL": (given.daemon_url, REDIS_SCHEMES),
        "BASE_URI": (given.base_uri, HTTP_SCHEMES),
        "STREAM_URI": (given.stream_uri, HTTP_SCHEMES),
        "EVENTS_URI": (given.events_uri, HTTP_SCHEMES),
    }
    return [
        Error(
            f"FEATUREFLAGS[{name!r}] (LAUNCHDARKLY_{name}) is not an address.",
            hint=f"It begins with {' or '.join(schemes)}.",
            id="featureflags.E015",
        )
        for name, (address, schemes) in wanted.items()
        if address and not address.startswith(schemes)
    ]


@register("featureflags")
def check_middleware(**_: Any) -> list[CheckMessage]:
    """W008: without the middleware no visitor keeps a key. E009: it comes before authentication."""
    installed = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in installed:
        return [
            Warning(
                f"{MIDDLEWARE} is not installed, so visitors get no key of their own and each "
                "flag check of a request reads the cache anew.",
                hint=f"Add it to MIDDLEWARE, after {AUTHENTICATION}.",
                id="featureflags.W008",
            )
        ]
    if AUTHENTICATION in installed[installed.index(MIDDLEWARE) :]:
        return [
            Error(
                f"{MIDDLEWARE} comes before {AUTHENTICATION}, which knows the user.",
                hint="Move it below.",
                id="featureflags.E009",
            )
        ]
    return []
