"""The settings of this app, typed: `settings.FEATUREFLAGS` over the defaults that stand here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


class SegmentsAs(StrEnum):
    """How a user's segments stand in a context: the values of the setting `segments_as`."""

    LIST = "list"
    """`segments`: a list of keys, for `segments` `in` KEY."""
    OBJECT = "object"
    """`segment`: an object, for `/segment/KEY` `in` true, which costs the same for any number."""
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFlagsSettings:
    """Every key of `settings.FEATUREFLAGS`, in lower case. Times are in seconds unless named."""

    flags: str = ""
    """Dotted path to the list of `featureflags.flags.Flag` that this project declares."""
    attributes: tuple[str, ...] = ()
    """Dotted paths to the project's own `featureflags.contexts.attributes.Attribute`."""
    watches: str = ""
    """Dotted path to the list (or function) of `featureflags.capture.watches.Watch`: which tables
    change which cached entries."""
    cache: str = "default"
    """The cache alias of snapshots. A backend that raises when it fails is counted and survived."""
    snapshot_seconds: int = 24 * 3600
    spare_seconds: int = 7 * 24 * 3600
    """How long a snapshot past its time is kept for the hour when the database is down."""
    stale_seconds: float = 0.0
    """For so long after a process has asked which rules hold, its checks for loaded users need not
    ask again: they save a round trip, and may miss an edit of a segment for as long. 0: never."""
    warm_active_days: int = 7
    warm_batch: int = 2000
    """Users that are read and written in one go."""
    warm_range: int = 10_000
    """Users that a worker takes at a time."""
    warm_renew_seconds: int = 12 * 3600
    """An entry that is good is left alone if it stays fresh for so long."""
    warm_at_once: int = 0
    """How many Celery workers may warm at the same time. 0: as many as are free."""
    warm_users_per_second: int = 0
    """How many users a warming may read in a second, on average, over all workers. 0: no limit."""
    warm_lease_seconds: float = 30.0
    """A worker that has not been heard of for so long is taken for dead, and its range is done by
    another one."""
    max_members: int = 10_000
    """Of one segment: members are part of the compiled rules that each process holds."""
    impact_seconds: float = 1.0
    """How long a preview of a segment may count users. Past that its numbers are lower bounds."""
    confirm_percent: float = 10.0
    confirm_users: int = 1000
    """A change that moves more than this share of all users, or more users than that, whichever is
    less, is saved only once it is confirmed. So is each that a flag which is on rests on."""
    private_attributes: tuple[str, ...] = ("email", "name")
    launchdarkly_attributes: tuple[str, ...] = ("*",)
    """The names of the attributes that may be sent; `*` stands for all that the catalogue and the
    rules of `featureflags.contexts.privacy` let through. Empty: the user's key alone."""
    segments_as: SegmentsAs = SegmentsAs.BOTH
    """How LaunchDarkly is told of segments: `list`, `object` or `both`."""
    max_attribute_bytes: int = 16 * 1024
    """Of one attribute as JSON. A user's metadata as a whole is no larger."""
    max_context_bytes: int = 32 * 1024
    """Of a whole context as JSON: the largest attributes are left out first."""
    raise_invalid_attributes: bool = False
    """Whether an attribute that is not JSON raises (development) or is dropped and counted."""
    sdk_key: str = ""
    flag_file: str = ""
    """Where flags come from while there is no SDK key: LaunchDarkly's JSON, re-read when edited."""
    source: str = "auto"
    """How flags reach this project: one of `Source`. `auto` streams if there is an SDK key, else
    reads the flag file, else is offline."""
    poll_seconds: float = 30.0
    """How often `polling` asks. LaunchDarkly allows no less than 30."""
    daemon_url: str = ""
    """`daemon`: the Redis (redis://…) that a relay proxy fills."""
    daemon_prefix: str = "launchdarkly"
    """`daemon`: the prefix that the relay proxy writes under."""
    daemon_cache_seconds: float = 15.0
    """`daemon`: how long a flag that was read from Redis holds."""
    spare_url: str = ""
    """A Redis that keeps the last known flags, for a process that starts while LaunchDarkly is
    away. Empty: none is kept."""
    spare_save_seconds: float = 5.0
    """A process saves the spare no more often than this."""
    base_uri: str = ""
    stream_uri: str = ""
    events_uri: str = ""
    send_events: bool = True
    summary_events_only: bool = False
    """Tell LaunchDarkly how often each variation was served, and nothing about anybody: no
    context counts towards the bill, and experiments and `track` have no data."""
    context_keys_capacity: int = 10_000
    """How many contexts a process remembers as told. One that is forgotten is told again."""
    start_wait: float = 2.0
    """How long the first check of a process may wait for LaunchDarkly. Later ones never wait."""
    close_wait: float = 3.0
    """How long a process that ends may take to deliver its last events."""
    api_token: str = field(default="", repr=False)
    """For LaunchDarkly's REST API: a token of its own, never an SDK key."""
    api_url: str = "https://app.launchdarkly.com"
    project: str = ""
    environment: str = ""
    """The project and environment, by key, that `sync_segments` writes to."""
    sync_segments: bool = False
    """Whether a segment that is created, renamed or activated is written to LaunchDarkly too."""
    sync_tag: str = "guidon"
    """What marks a segment of LaunchDarkly as ours. Others are never touched."""
    demo: str = ""
    """Dotted path to the module with the people and segments that `seed_demo` writes."""
    testers: bool = False
    """Whether staff may see pages as if a flag were on; see `featureflags.evaluation.previews`."""
    tester_cookie: str = "guidon_tester"
    tester_seconds: int = 8 * 3600
    """How long such a look lasts at most."""
    flag_check_database_seconds: float = 0.1
    flag_check_redis_seconds: float = 0.06
    """How long a request that answers flags waits for a query, and for all its calls of Redis. What
    does not come in time is answered by the next step: the cache, the database, the last known."""
    page_database_seconds: float = 2.0
    page_redis_seconds: float = 0.25
    """The same for any other request; the admin's queries have `admin_database_seconds`."""
    admin_database_seconds: float = 15.0
    metrics_token: str = ""
    """A bearer of this token may read the metrics. Empty: staff alone."""
    visitor_cookie: str = "guidon_visitor"
    visitor_cookie_days: int = 365


class Source(StrEnum):
    """Where flags come from: the values of the setting `source`."""

    AUTO = "auto"
    STREAMING = "streaming"
    """LaunchDarkly, or a relay proxy where the addresses name one."""
    POLLING = "polling"
    DAEMON = "daemon"
    """A Redis that a relay proxy fills."""
    FILE = "file"
    TEST_DATA = "test-data"
    """What a test puts into `featureflags.testing.sdk_test_data()`."""
    OFFLINE = "offline"


_NEEDS = {
    Source.STREAMING: ("sdk_key", "LAUNCHDARKLY_SDK_KEY"),
    Source.POLLING: ("sdk_key", "LAUNCHDARKLY_SDK_KEY"),
    Source.DAEMON: ("daemon_url", "LAUNCHDARKLY_DAEMON_URL"),
    Source.FILE: ("flag_file", "LAUNCHDARKLY_FLAG_FILE"),
}
"""The setting that a source cannot do without, and its usual variable."""


def source_of(given: FeatureFlagsSettings) -> Source:
    """The source in force, never AUTO. Raises ImproperlyConfigured, which names what is missing."""
    if given.source not in set(Source):
        known = ", ".join(Source)
        raise ImproperlyConfigured(
            f"FEATUREFLAGS['SOURCE'] is {given.source!r}; it is one of: {known}."
        )
    source = Source(given.source)
    if source is Source.AUTO:
        if given.sdk_key:
            return Source.STREAMING
        return Source.FILE if given.flag_file else Source.OFFLINE
    if source in _NEEDS:
        name, variable = _NEEDS[source]
        if not getattr(given, name):
            raise ImproperlyConfigured(
                f"The flag source {source.value!r} needs FEATUREFLAGS[{name.upper()!r}] ({variable})."
            )
    return source


@cache
def app_settings() -> FeatureFlagsSettings:
    """The settings in force. Raises ImproperlyConfigured where they are not in order."""
    given: Mapping[str, Any] = getattr(settings, "FEATUREFLAGS", {})
    known = {each.name for each in fields(FeatureFlagsSettings)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name.lower() not in known:
            raise ImproperlyConfigured(f"FEATUREFLAGS has no setting {name!r}.")
        values[name.lower()] = tuple(value) if isinstance(value, list) else value
    if "segments_as" in values:
        values["segments_as"] = _segments_as(values["segments_as"])
    found = FeatureFlagsSettings(**values)
    source_of(found)
    return found


def _segments_as(value: object) -> SegmentsAs:
    try:
        return SegmentsAs(str(value))
    except ValueError:
        known = ", ".join(SegmentsAs)
        raise ImproperlyConfigured(
            f"FEATUREFLAGS['SEGMENTS_AS'] is {value!r}; it is one of: {known}."
        ) from None


def forget_settings(*, setting: str, **_: Any) -> None:
    if setting == "FEATUREFLAGS":
        app_settings.cache_clear()


setting_changed.connect(forget_settings, dispatch_uid="featureflags.core.conf")
