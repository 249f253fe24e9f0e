"""The settings of this app, typed: `settings.FEATUREFLAGS` over the defaults that are named here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.signals import setting_changed

from featureflags.core.extras import missing_modules
from featureflags.core.settings_check import (
    WRONG_VALUE,
    Examined,
    SettingProblem,
    examine,
)

logger = logging.getLogger(__name__)


class SegmentsAs(StrEnum):
    """The form of the segments in a context: the values of the setting `segments_as`."""

    LIST = "list"
    """`segments`: a list of keys, for `segments` `in` KEY."""
    OBJECT = "object"
    """`segment`: an object, for `/segment/KEY` `in` true, which costs the same for any number."""
    BOTH = "both"


class VisitorEvents(StrEnum):
    """Which visitors have a context of their own in events: the values of `visitor_events`."""

    RETURNING = "returning"
    """Those whose cookie came back. All others share one context."""
    ALL = "all"
    NONE = "none"
    """All visitors share one context."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFlagsSettings:
    """Every key of `settings.FEATUREFLAGS`, in lower case. Times are in seconds unless named."""

    flags: str = ""
    """Dotted path to the list of `featureflags.flags.Flag` that this project declares."""
    attributes: tuple[str, ...] = ()
    """Dotted paths to the project's own `featureflags.contexts.attributes.Attribute`."""
    watches: str = ""
    """Dotted path to a list (or function) of `featureflags.capture.watches.Watch`, for changes that no
    path of a kind's fields leads to."""
    employee_domains: tuple[str, ...] = ()
    """The e-mail domains of the company: the first `migrate` makes the segment `employee` of them."""
    triggers: bool = True
    """Whether database triggers notice what is written. False where the application may create none:
    see `featureflags.capture.without_triggers` for what is lost."""
    cache: str = "default"
    """The cache alias of snapshots. A backend that raises when it fails is counted and survived."""
    entry_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys that encrypt what is cached of users: 32 bytes each, in URL-safe base64. The first one encrypts,
    all of them decrypt. Empty: it is stored as it is."""
    snapshot_seconds: int = 24 * 3600
    spare_seconds: int = 7 * 24 * 3600
    """How long an expired snapshot is kept: it answers while the database is down."""
    stale_seconds: float = 0.0
    """For so long after a process has read the version of the rules, its checks for loaded users do
    not read it again: they save a round trip, and may miss an edit of a segment. 0: always read."""
    warm_active_days: int = 7
    warm_batch: int = 2000
    """Users that are read and written together."""
    warm_range: int = 10_000
    """Users that a worker claims at a time."""
    warm_renew_seconds: int = 12 * 3600
    """A cached entry that stays fresh for longer than this is not written again."""
    warm_at_once: int = 0
    """How many Celery workers may warm the cache at the same time. 0: all that are free."""
    warm_users_per_second: int = 0
    """How many users a warm-up may read in a second, on average, in all workers. 0: no limit."""
    warm_lease_seconds: float = 30.0
    """A worker that has not renewed its lease for so long counts as dead: another takes its range over."""
    max_members: int = 10_000
    """Of one segment: members are part of the compiled rules that each process holds."""
    max_rules: int = 500
    max_clauses: int = 4_000
    """Of one segment, in all its rules: a preview and a save build a query of them."""
    impact_seconds: float = 1.0
    """How long a preview of a segment may count users. After that its numbers are lower bounds."""
    confirm_percent: float = 10.0
    confirm_users: int = 1000
    """A change that moves more than this share of all users, or more users than that, whichever is
    less, must be confirmed. So must every change to a segment that a flag which is on uses."""
    approve_live_segments: bool = False
    """Whether somebody else must approve what moves users of a segment that a flag uses which is on."""
    plan_tolerance_percent: float = 10.0
    """A planned change is refused when it is due if who enters or leaves differs by more than this share."""
    mail_notices: bool = False
    """Whether owners of segments, and those who may approve, are sent e-mails of planned changes."""
    site_url: str = ""
    """Where people open this site (`https://flags.example.com`): e-mails and webhooks link to it."""
    private_attributes: tuple[str, ...] = ("email", "name")
    launchdarkly_attributes: tuple[str, ...] = ("*",)
    """The names of the attributes that may be sent; `*` means all that the catalogue and the rules of
    `featureflags.contexts.privacy` allow. Empty: the user's key alone."""
    segments_as: SegmentsAs = SegmentsAs.BOTH
    """The form in which segments are sent to LaunchDarkly: `list`, `object` or `both`."""
    max_attribute_bytes: int = 16 * 1024
    """The size of one attribute as JSON. The whole metadata of a user is not larger either."""
    max_context_bytes: int = 32 * 1024
    """The size of a whole context as JSON: the largest attributes are left out first."""
    raise_invalid_attributes: bool = False
    """Whether an attribute that is not JSON raises (development) or is left out and counted."""
    sdk_key: str = ""
    client_side_id: str = ""
    """The environment's client-side ID: LaunchDarkly's SDK in a browser starts with it. Not a secret."""
    flag_file: str = ""
    """The file with flags, used without an SDK key: LaunchDarkly's JSON, read again when edited."""
    source: Source = Source.AUTO
    """Where flags come from: one of `Source`. `auto` streams if there is an SDK key, else reads the
    flag file, else is offline."""
    poll_seconds: float = 30.0
    """The interval of `polling`. LaunchDarkly allows 30 at least."""
    daemon_url: str = ""
    """`daemon`: the Redis (redis://…) that a relay proxy fills."""
    daemon_prefix: str = "launchdarkly"
    """`daemon`: the prefix that the relay proxy writes under."""
    daemon_cache_seconds: float = 15.0
    """`daemon`: how long a flag that was read from Redis is used."""
    spare_url: str = ""
    """A Redis that keeps the last known flags, for a process that starts while LaunchDarkly cannot be
    reached. Empty: they are not kept."""
    spare_save_seconds: float = 5.0
    """The shortest time between two writes of the last known flags by one process."""
    base_uri: str = ""
    stream_uri: str = ""
    events_uri: str = ""
    send_events: bool = True
    summary_events_only: bool = False
    """Send how often each variation was served, and nothing about users: no context is billed, and
    experiments and `track` have no data."""
    visitor_events: VisitorEvents = VisitorEvents.RETURNING
    """Which visitors have a billed context of their own in events: `returning`, `all` or `none`."""
    context_keys_capacity: int = 10_000
    """How many contexts a process remembers as sent. A forgotten one is sent again."""
    start_wait: float = 2.0
    """How long the first check of a process may wait for LaunchDarkly. Later ones never wait."""
    close_wait: float = 3.0
    """How long a process may take to deliver its last events when it ends."""
    api_token: str = field(default="", repr=False)
    """For LaunchDarkly's REST API: a token of its own, never an SDK key."""
    api_url: str = "https://app.launchdarkly.com"
    project: str = ""
    environment: str = ""
    """The keys of the project and environment that `sync_segments` writes to."""
    sync_segments: bool = False
    """Whether a segment that is created, renamed or activated is also written to LaunchDarkly."""
    sync_tag: str = "guidon"
    """The tag that marks a segment in LaunchDarkly as ours. Others are never changed."""
    demo: str = ""
    """Dotted path to the module with the people and segments that `seed_demo` writes."""
    testers: bool = False
    """Whether staff may see pages as if a flag were on; see `featureflags.evaluation.previews`."""
    tester_cookie: str = "guidon_tester"
    tester_seconds: int = 8 * 3600
    """How long a preview lasts at most."""
    flag_check_database_seconds: float = 0.1
    flag_check_redis_seconds: float = 0.06
    """How long a request that answers flags waits for a query, and for all its calls of Redis."""
    page_database_seconds: float = 2.0
    page_redis_seconds: float = 0.25
    """The same for any other request; the admin's queries have `admin_database_seconds`."""
    admin_database_seconds: float = 15.0
    trusted_proxies: int = 0
    """How many proxies before the site write X-Forwarded-For. 0: the address is the connection's."""
    throttle_key: int = 60_000
    throttle_user: int = 1_200
    throttle_address: int = 6_000
    """Calls of the API in a minute by one key, one user, and one address where nobody is logged in. 0:
    no limit. See `featureflags.api.throttling`."""
    throttle_wrong_keys: int = 30
    """Wrong keys in a minute from one address, before the answer is 429."""
    live_streams: int = 2000
    """Open streams of one process at most; see `featureflags.live`. 0: none."""
    live_streams_elsewhere: bool = False
    """Another process serves them, under the same address: this one names their path."""
    webhook_private_addresses: bool = False
    """Whether webhooks and `installations` may lead to addresses that are not public (loopback, private
    ranges), and by http."""
    installations: tuple[str, ...] = field(default=(), repr=False)
    """Other installations to compare segments with: `NAME ADDRESS-OF-ITS-API KEY` each."""
    size_jump_percent: float = 20.0
    """Webhooks and the owner of a segment are notified if its size changes by so much within an hour."""
    tracing: bool = False
    """Whether a check that no unit of work remembers is a span of OpenTelemetry."""
    metrics_token: str = ""
    """Requests with this bearer token may read the metrics. Empty: only staff may."""
    visitor_cookie: str = "guidon_visitor"
    visitor_cookie_days: int = 365


_NEEDS: Mapping[Source, tuple[str, str]] = {
    Source.STREAMING: ("sdk_key", "LAUNCHDARKLY_SDK_KEY"),
    Source.POLLING: ("sdk_key", "LAUNCHDARKLY_SDK_KEY"),
    Source.DAEMON: ("daemon_url", "LAUNCHDARKLY_DAEMON_URL"),
    Source.FILE: ("flag_file", "LAUNCHDARKLY_FLAG_FILE"),
}
"""The setting that a source needs, and its usual environment variable."""


NO_REDIS: Final = bool(missing_modules("redis"))


def source_of(given: FeatureFlagsSettings) -> Source:
    """The source in force, never AUTO; OFFLINE where a setting or a package that it needs is missing."""
    if given.source != Source.AUTO:
        is_missing = _missing(given) or (given.source == Source.DAEMON and NO_REDIS)
        return Source.OFFLINE if is_missing else Source(given.source)
    if given.sdk_key:
        return Source.STREAMING
    return Source.FILE if given.flag_file else Source.OFFLINE


@cache
def app_settings() -> FeatureFlagsSettings:
    """The settings in force. Wrong ones are replaced by safe values, and logged once."""
    examined = _examined()
    for problem in examined.problems:
        logger.error("%s", problem)
    values = {name: value for name, value in examined.values.items() if value is not None}
    if values.get("cache", DEFAULT_CACHE_ALIAS) not in settings.CACHES:
        values["cache"] = DEFAULT_CACHE_ALIAS
    return FeatureFlagsSettings(**values)


def setting_problems() -> list[SettingProblem]:
    """What is wrong with `settings.FEATUREFLAGS`, for the system checks. Never raises."""
    examined = _examined()
    found = list(examined.problems)
    alias = examined.values.get("cache") or DEFAULT_CACHE_ALIAS
    if alias not in settings.CACHES:
        found.append(
            SettingProblem(
                setting="cache",
                words=f"FEATUREFLAGS['CACHE'] is {alias!r}, which CACHES does not have.",
                hint=f"CACHES has: {', '.join(sorted(settings.CACHES))}.",
                id="featureflags.E010",
            )
        )
    given = app_settings()
    missing = _missing(given)
    if missing:
        name, variable = missing
        found.append(
            SettingProblem(
                setting=name,
                words=f"The flag source '{given.source}' needs FEATUREFLAGS[{name.upper()!r}].",
                hint=f"Set it ({variable}). Until then the source is offline.",
                id=WRONG_VALUE,
            )
        )
    return found


def _missing(given: FeatureFlagsSettings) -> tuple[str, str] | None:
    """The setting that the source needs and that is empty, with its usual variable."""
    needed = _NEEDS.get(given.source)
    return needed if needed is not None and not getattr(given, needed[0]) else None


def _examined() -> Examined:
    return examine(getattr(settings, "FEATUREFLAGS", {}), FeatureFlagsSettings)


def forget_settings(*, setting: str, **_: Any) -> None:
    """Read the settings again after a test has changed them."""
    if setting in {"FEATUREFLAGS", "CACHES"}:
        app_settings.cache_clear()


setting_changed.connect(forget_settings, dispatch_uid="featureflags.core.conf")
