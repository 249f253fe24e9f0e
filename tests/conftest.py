"""What every test shares: caches that are empty, a process that remembers nothing, flag files."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from django.conf import settings as django_settings
from django.core.cache import CacheHandler
from django.core.cache.backends.base import BaseCache
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from featureflags.cache import compiled_rules, counters, protocol, snapshot_store
from featureflags.core import monitoring, outages
from featureflags.flags.overrides import forced_flags
from featureflags.launchdarkly import client
from featureflags.live import tickets
from tests.browser.chromium import MISSING
from tests.emptying import empty_caches, empty_database, remember_new
from tests.profiles import PROFILE
from tests.services.launchdarkly import LaunchDarklyServer

# No test is timed, and `make test` tries the same examples each time. Random examples belong in
# `make test-deep`; what these find becomes a case.
hypothesis_settings.register_profile("same", deadline=None, derandomize=True)
hypothesis_settings.register_profile("quick", deadline=None, derandomize=True, max_examples=20)
hypothesis_settings.register_profile("deep", deadline=None)
hypothesis_settings.load_profile(PROFILE)

pytest_plugins = ["featureflags.testing", "tests.clock", "tests.customers.organizations"]

TRANSACTIONAL = {"transactional_db", "live_server", "django_db_reset_sequences"}
"""Fixtures that commit for real."""

DATABASE = {"db", *TRANSACTIONAL}
COUNTING = {"django_assert_num_queries", "django_assert_max_num_queries", "round_trips"}
"""Fixtures that count what is asked for."""
NOT_PURE = {"django_db", "production_stack", "embedded_stack"}
ELSEWHERE = {
    "postgresql": pytest.mark.skip(
        reason="is about SQLite and files: without tests.services.stack"
    ),
    "sqlite": pytest.mark.skip(
        reason="needs PostgreSQL and Redis: python -m tests.services.stack -- python -m pytest …"
    ),
}
"""For a test of the other stack, by the database at hand. A choice with -m leaves it out silently."""
ANY_MIDNIGHT = 15 * 60
"""Midnight in each time zone is at the beginning of a quarter of an hour."""
LAST_SECONDS = 5.0
LONG = (
    *("tests/deploy/", "tests/chaos/", "tests/wheel/test_existing_project.py"),
    *("tests/featureflags/warming/test_celery.py", "tests/featureflags/api/fuzzing/"),
)
"""Tests of a minute run first: one that began last would keep the run waiting for it alone."""
PAGES = tuple(
    f"tests/featureflags/{name}"
    for name in (
        "admin/",
        "api/test_events.py",
        "api/test_parameters.py",
        "api/ofrep/",
        "api/keys/",
        "api/confirming/",
    )
)
"""Tests of what is said and to whom. They run on the embedded stack, unless they commit for real: the rows come
from rooms that are tested on both stacks, browser tests open each page of the admin on PostgreSQL, and schemathesis
asks each operation of the API there."""
STARTERS = {
    f"tests.services.{name}" for name in ("processes", "forking", "postgres", "redis", "stack")
}


def starts_processes(module: ModuleType) -> bool:
    """True if the module imports `subprocess` or something of ours that starts processes, be it
    through another module of the tests."""
    for value in vars(module).values():
        origin = getattr(value, "__module__", None)
        if value is subprocess or origin in STARTERS:
            return True
        helper = sys.modules.get(str(origin), module)
        is_ours = str(origin).startswith("tests.featureflags.")
        if is_ours and helper is not module and starts_processes(helper):
            return True
    return False


def asks_database(item: pytest.Item) -> bool:
    """True if a mark or a fixture asks for it."""
    has_fixture = not DATABASE.isdisjoint(getattr(item, "fixturenames", ()))
    return has_fixture or item.get_closest_marker("django_db") is not None


def commits(item: pytest.Item) -> bool:
    """True if the test commits for real."""
    marker = item.get_closest_marker("django_db")
    is_asked_for = marker is not None and bool(marker.kwargs.get("transaction", False))
    return is_asked_for or bool(TRANSACTIONAL & set(getattr(item, "fixturenames", ())))


def pytest_configure() -> None:
    """Let the processes that tests start heed Ctrl-C: `nohup … &` starts this one with SIGINT ignored,
    and each child would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Django's server sends headers and body one by one: on a connection that is kept, each answer would
    # wait 40 ms for the client's delayed acknowledgement.
    WSGIRequestHandler.disable_nagle_algorithm = True
    LaunchDarklyServer.clients.append(client.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `pure` what asks for no database: it runs once, on the embedded stack. Mark as
    `processes` the tests of modules that start processes: `make quick` leaves them out. Skip what
    another stack must run. Let long tests begin first."""
    of_another = "production_stack" if connection.vendor == "sqlite" else "embedded_stack"
    slow = {item.path for item in items if starts_processes(getattr(item, "module", pytest))}
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.processes)
        is_page = item.nodeid.startswith(PAGES) and not commits(item) and asks_database(item)
        if is_page and item.get_closest_marker("production_stack") is None:
            item.add_marker(pytest.mark.embedded_stack)
        if item.get_closest_marker(of_another) is not None:
            item.add_marker(ELSEWHERE[connection.vendor])
        if not asks_database(item) and not NOT_PURE & {m.name for m in item.iter_markers()}:
            item.add_marker(pytest.mark.pure)


def pytest_collection_finish() -> None:
    """What was imported is never garbage: looking through it again and again is 3 % of a run."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly that the browser tests were skipped: among many lines nobody would see it."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    number = sum(MISSING in str(longrepr) for longrepr in skipped)
    if number:
        terminalreporter.write_line(f"{MISSING}; {number} skipped.", red=True, bold=True)


FlagFile = Callable[..., Path]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What a test has committed is removed by us: Django's `flush` takes ten times as long."""
    del django_db_setup

    def empty(case: TransactionTestCase) -> None:
        for alias in case.databases:
            empty_database(alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        with django_db_blocker.unblock():
            remember_new(connection.alias)
        yield


@pytest.fixture(autouse=True)
def same_settings() -> Iterator[None]:
    """A test leaves the settings as they were. Overrides that end in another order than that of their beginnings
    bring one of them back for all later tests: beside the fixture `settings`, set values with it alone."""
    lazy = cast("Any", django_settings)
    before = lazy._wrapped
    yield
    after, lazy._wrapped = lazy._wrapped, before
    assert after is before, "settings were left behind"


@pytest.fixture(autouse=True)
def no_renewal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where queries are counted, the version of the cache lives as long as the slowest machine needs: each
    renewal is a query."""
    if COUNTING & set(request.fixturenames) or hasattr(request.module, "CaptureQueriesContext"):
        monkeypatch.setattr(snapshot_store, "VERSION_SECONDS", 600.0)


@pytest.fixture(autouse=True)
def fresh_process(request: pytest.FixtureRequest, no_renewal: None) -> Iterator[None]:
    """Empty caches and nothing remembered, as in a process that has just started."""
    marker = request.node.get_closest_marker("django_db")
    transactional = commits(request.node)
    if transactional:
        request.getfixturevalue("transactional_db")
        # The database names the cache, as after the first check of a new site.
        protocol.read([])
    if transactional or marker is not None or "db" in request.fixturenames:
        empty_caches()
    if request.node.get_closest_marker("pure") is not None:
        request.getfixturevalue("no_cache")
    compiled_rules.forget_loaded()
    snapshot_store.resume()
    monitoring.forget()
    counters.forget()
    forced_flags.cache_clear()
    tickets.serve(on=False)
    forget_outages()
    yield
    client.close()
    forget_outages()


def forget_outages() -> None:
    """No server is known to be silent, and the counts of outages are zero."""
    for server in outages.servers():
        server.forget()


@pytest.fixture(autouse=True)
def same_day() -> None:
    """A test that begins in the last seconds of a day, in any time zone, waits for the next.

    Many compare days. What happens at midnight is for tests that set their own clock.
    """
    left = ANY_MIDNIGHT - time.time() % ANY_MIDNIGHT
    if left < LAST_SECONDS:
        time.sleep(left)


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pure test that asks for a cache fails: it would be tried on one of the stacks only."""

    def refuse(_handler: CacheHandler, alias: str) -> BaseCache:
        pytest.fail(f"The cache {alias!r} is used by a test that does not ask for the database.")

    monkeypatch.setattr(CacheHandler, "__getitem__", refuse)


@pytest.fixture
def flag_file(tmp_path: Path, settings: Settings) -> FlagFile:
    """Write flags (LaunchDarkly's JSON, or plain values) to the file that the SDK reads."""
    path = tmp_path / "flags.json"

    def write(*flags: dict[str, Any], **values: Any) -> Path:
        document = {"flags": {flag["key"]: flag for flag in flags}, "flagValues": values}
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps(document))
        aside.replace(path)
        return path

    write()
    # Not `override_settings`: it would end before what a test sets, whose end would bring it back.
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": str(path)}
    return write
