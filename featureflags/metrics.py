"""The figures for Prometheus: instruments, and what fills them from the counters of this process.

Nothing here is on the way of a flag check: rooms count in plain dicts, and a thread publishes what was
counted (`featureflags.core.timings`). With PROMETHEUS_MULTIPROC_DIR each process of a machine writes its
figures into that folder, and the one that is asked for `/metrics` answers for all.

Labels are bounded: flags that are known (at most 2,000), sources, reasons, segments, scheduled tasks, and
names of events (at most 50 of a kind).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db import DatabaseError
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from featureflags.cache.counters import DEGRADED, FOUND, degraded_by_flag, flag_answers, flag_usage
from featureflags.core import timings
from featureflags.core.fork_hooks import in_child
from featureflags.core.monitoring import counts
from featureflags.core.outages import servers
from featureflags.launchdarkly.status import State, connection_status, seconds_since
from featureflags.models import OutboxEvent, ScheduledRun, SegmentSize, WarmRange, WarmRun

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
INVALIDATED: Final = "invalidated:"
"""The beginning of the names of events that are invalidations; the rest is the way of writing."""
SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

registry = CollectorRegistry()
# When each counter began: a series more for each, and no query asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # as MultiProcessCollector below


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"guidon_{name}", meaning, labels, registry=registry)


def _gauge(name: str, meaning: str, *labels: str, of: Any = "mostrecent") -> Gauge:
    return Gauge(f"guidon_{name}", meaning, labels, registry=registry, multiprocess_mode=of)


EVALUATIONS = _counter("evaluations", "Evaluations of a known flag.", "flag", "result")
DEGRADED_ANSWERS = _counter("degraded", "Answers that are not certain, by cause.", "reason")
LOOKUPS = _counter("lookups", "Users looked up by key, by where they were found.", "source")
CONTEXT_SECONDS = Histogram(
    "guidon_context_seconds",
    "Time to make a context that no unit of work remembered, by source.",
    ["source"],
    registry=registry,
    buckets=SECONDS,
)
COMPILE_SECONDS = Histogram(
    "guidon_compile_seconds",
    "Time to compile the segments that changed.",
    registry=registry,
    buckets=(*SECONDS, 5.0),
)
INVALIDATIONS = _counter("invalidations", "Entries made old, by way of writing.", "way")
EVENTS = _counter("events", "What went wrong, by name.", "name")
SERVER_SILENT = _gauge(
    "server_silent", "Processes that do not wait for the server.", "server", of="livesum"
)
SERVER_FAILURES = _counter("server_failures", "Calls without an answer.", "server", "why")
SERVER_OUTAGES = _counter("server_outages", "Outages, as each process met them.", "server")
SERVER_OUTAGE_SECONDS = _counter("server_outage_seconds", "The length of outages.", "server")
LAUNCHDARKLY_STATE = _gauge(
    "launchdarkly_state", "Processes in this state.", "source", "state", of="livesum"
)
LAUNCHDARKLY_ERRORS = _gauge(
    "launchdarkly_error", "1 for the last error, over or not.", "kind", "http_status", of="livemax"
)
LAUNCHDARKLY = {
    "state_seconds": _gauge(
        "launchdarkly_state_seconds", "Seconds since the state changed.", of="livemax"
    ),
    "change_age_seconds": _gauge(
        "launchdarkly_change_age_seconds", "Seconds since flags last changed.", of="livemax"
    ),
    "flags": _gauge("launchdarkly_flags", "Flags held.", of="livemin"),
    "segments": _gauge("launchdarkly_segments", "LaunchDarkly's own segments held.", of="livemin"),
    "malformed": _gauge(
        "launchdarkly_malformed", "Flags and segments that cannot be parsed.", of="livemax"
    ),
    "spare": _gauge(
        "launchdarkly_spare", "Processes that serve an earlier process's flags.", of="livesum"
    ),
}
OUTBOX_ROWS = _gauge("outbox_rows", "Writes that the cache has not heard of.")
OUTBOX_AGE = _gauge("outbox_age_seconds", "Age of the oldest of them.")
SEGMENT_USERS = _gauge("segment_users", "Users in a segment when it was last counted.", "segment")
WARM_UP_USERS = _gauge("warm_up_users", "Users of the last warm-up.", "state")
TASK_AGE = _gauge("task_age_seconds", "Seconds since a scheduled task last began.", "task")
DATABASE_READ = _gauge("database_figures", "1 if the figures of the database are of now.")

_lock = threading.Lock()
_published: dict[tuple[object, ...], float] = {}
"""What of the totals of this process the counters have."""


def page() -> bytes:
    """The exposition, of this process or of all that share the folder. Asks the database, briefly."""
    publish()
    _publish_database()
    if not os.environ.get(FOLDER):
        return generate_latest(registry)
    everybody = CollectorRegistry()
    MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
    return generate_latest(everybody)


def publish() -> None:
    """Hand everything that was counted since the last time to the instruments."""
    with _lock:
        _publish_evaluations()
        for name, total in counts().items():
            kind, _colon, way = name.partition(":")
            if f"{kind}:" == INVALIDATED:
                _add(INVALIDATIONS, total, way)
            else:
                _add(EVENTS, total, name)
        for source, seconds in _taken(timings.contexts):
            CONTEXT_SECONDS.labels(source).observe(seconds)
        for seconds in _taken(timings.compilations):
            COMPILE_SECONDS.observe(seconds)
        _publish_servers()
        _publish_launchdarkly()


def _publish_evaluations() -> None:
    for flag, total in flag_usage.totals().items():
        degraded = degraded_by_flag.get(flag, 0)
        _add(EVALUATIONS, degraded, flag, "degraded")
        _add(EVALUATIONS, total - degraded, flag, "value")
    for name, total in flag_answers.totals().items():
        if name.startswith(FOUND):
            _add(LOOKUPS, total, name.removeprefix(FOUND))
        elif name.startswith(DEGRADED):
            _add(DEGRADED_ANSWERS, total, name.removeprefix(DEGRADED))


def _publish_servers() -> None:
    for server in servers():
        name, total = server.name.lower(), server.totals()
        SERVER_SILENT.labels(name).set(total.is_silent)
        for why in ("missed", "failed", "refused"):
            _add(SERVER_FAILURES, getattr(total, why), name, why)
        _add(SERVER_OUTAGES, total.outages, name)
        _add(SERVER_OUTAGE_SECONDS, total.seconds, name)


def _publish_launchdarkly() -> None:
    status = connection_status()
    for state in State:
        LAUNCHDARKLY_STATE.labels(status.source.value, state.value).set(state is status.state)
    if status.error is not None:
        http_status = str(status.error.http_status or "")
        LAUNCHDARKLY_ERRORS.labels(status.error.kind, http_status).set(1)
    values: dict[str, float | None] = {
        "state_seconds": seconds_since(status.since),
        "change_age_seconds": seconds_since(status.changed_at),
        "flags": status.flags,
        "segments": status.segments,
        "malformed": len(status.malformed),
        "spare": status.is_spare,
    }
    for name, value in values.items():
        if value is not None:
            LAUNCHDARKLY[name].set(value)


def _publish_database() -> None:
    """What only the database knows. While it does not answer, the last figures stay."""
    try:
        _read_database()
    except DatabaseError:
        DATABASE_READ.set(0)
    else:
        DATABASE_READ.set(1)


def _read_database() -> None:
    now = timezone.now()
    outbox = OutboxEvent.objects.aggregate(rows=Count("pk"), oldest=Min("created_at"))
    OUTBOX_ROWS.set(outbox["rows"])
    OUTBOX_AGE.set((now - outbox["oldest"]).total_seconds() if outbox["oldest"] else 0)
    for key, users in SegmentSize.objects.values_list("segment__key", "at_most"):
        SEGMENT_USERS.labels(key).set(users)
    for name, at in ScheduledRun.objects.values_list("name", "last_run_at"):
        TASK_AGE.labels(name).set((now - at).total_seconds())
    last = WarmRun.objects.order_by("-pk").first()
    if last is not None:
        ranges = WarmRange.objects.filter(run=last)
        done = ranges.aggregate(
            waiting=Count("pk", filter=~Q(state=WarmRange.State.DONE)), ranges=Count("pk")
        )
        share = 1 - done["waiting"] / done["ranges"] if done["ranges"] else 1
        WARM_UP_USERS.labels("planned").set(last.users_planned)
        WARM_UP_USERS.labels("done").set(round(last.users_planned * share))


def _add(counter: Counter, total: float, *labels: str) -> None:
    """Bring a counter to the total of this process."""
    name = (counter, *labels)
    missing = total - _published.get(name, 0)
    if missing > 0:
        counter.labels(*labels).inc(missing)
        _published[name] = total


def _taken(found: deque[Any]) -> Iterator[Any]:
    """What was in the deque now, removed one by one: other threads append."""
    for _ in range(len(found)):
        yield found.popleft()


def families() -> Iterable[str]:
    """The names of all families, as queries name them."""
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        yield from (f"{family.name}{suffix}" for suffix in suffixes.get(family.type, ("",)))


def begin_anew() -> None:
    """In a forked child, whose totals begin at nothing, and for tests."""
    global _lock  # noqa: PLW0603 - a thread that no longer exists may hold the parent's
    _lock = threading.Lock()
    _published.clear()


in_child(begin_anew)
timings.publish_with(publish)
