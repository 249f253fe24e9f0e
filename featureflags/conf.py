"""The settings of this app, typed: `settings.FEATUREFLAGS` over the defaults that stand here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFlagsSettings:
    """Every key of `settings.FEATUREFLAGS`, in lower case. Times are in seconds unless named."""

    flags: str = ""
    """Dotted path to the list of `featureflags.flags.Flag` that this project declares."""
    attributes: tuple[str, ...] = ()
    """Dotted paths to the project's own `featureflags.attributes.Attribute`."""
    cache: str = "default"
    """The cache alias of snapshots. A backend that raises when it fails is counted and survived."""
    snapshot_seconds: int = 24 * 3600
    spare_seconds: int = 7 * 24 * 3600
    """How long a snapshot past its time is kept for the hour when the database is down."""
    marker_seconds: int = 30
    """How long after a write nobody may put the user back into the cache."""
    warm_active_days: int = 7
    warm_batch: int = 1000
    max_members: int = 10_000
    """Of one segment: members are part of the compiled rules that each process holds."""
    private_attributes: tuple[str, ...] = ("email", "name")
    raise_invalid_attributes: bool = False
    """Whether an attribute that is not JSON raises (development) or is dropped and counted."""
    sdk_key: str = ""
    flag_file: str = ""
    """Where flags come from while there is no SDK key: LaunchDarkly's JSON, re-read when edited."""
    base_uri: str = ""
    stream_uri: str = ""
    events_uri: str = ""
    send_events: bool = True
    start_wait: float = 2.0
    """How long the first check of a process may wait for LaunchDarkly. Later ones never wait."""
    close_wait: float = 3.0
    """How long a process that ends may take to deliver its last events."""
    demo: str = ""
    """Dotted path to the module with the people and segments that `seed_demo` writes."""
    visitor_cookie: str = "guidon_visitor"
    visitor_cookie_days: int = 365


@cache
def app_settings() -> FeatureFlagsSettings:
    """The settings in force. Raises ImproperlyConfigured for a name that is not known."""
    given: Mapping[str, Any] = getattr(settings, "FEATUREFLAGS", {})
    known = {field.name for field in fields(FeatureFlagsSettings)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name.lower() not in known:
            raise ImproperlyConfigured(f"FEATUREFLAGS has no setting {name!r}.")
        values[name.lower()] = tuple(value) if isinstance(value, list) else value
    return FeatureFlagsSettings(**values)


def forget_settings(*, setting: str, **_: Any) -> None:
    if setting == "FEATUREFLAGS":
        app_settings.cache_clear()


setting_changed.connect(forget_settings, dispatch_uid="featureflags.conf")
