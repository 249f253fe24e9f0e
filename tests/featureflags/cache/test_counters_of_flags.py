"""How often flags are evaluated: counted in the process, merged into the cache by day."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.db import connections
from django.test import override_settings

from config.settings.caches import redis_caches
from featureflags.cache import counters
from featureflags.cache.counters import flag_usage
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core import monitoring
from featureflags.evaluation import (
    ais_enabled,
    all_flags,
    is_enabled,
    looking,
    override_flag,
    variation,
)
from tests.conftest import FlagFile
from tests.services.guarded import free_port
from tests.services.launchdarkly import boolean_flag
from tests.services.processes import run_python
from tests.services.waiting import PATIENCE_SECONDS, wait_until

TODAY = datetime.datetime.now(datetime.UTC).date

pytestmark = pytest.mark.django_db


def counted() -> dict[str, int]:
    assert counters.flush()
    return dict(counters.read_usage().total)


def test_evaluations_are_counted_by_flag_and_day(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"), boolean_flag("gamma"))
    before = TODAY()
    for _ in range(3):
        variation("beta", "ada")
    is_enabled("gamma", "ada")
    assert counted() == {"beta": 3, "gamma": 1}
    found = counters.read_usage()
    assert found.since in {before, TODAY()}
    assert found.last["beta"] in {before, TODAY()}


@pytest.mark.django_db(transaction=True)
async def test_the_async_twins_count_too(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    await ais_enabled("beta", "ada")
    # The thread that runs synchronous code for coroutines has a connection of its own.
    await sync_to_async(connections.close_all)()
    assert flag_usage.pending == {"beta": 1}


def test_looking_and_lists_do_not_count(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    with looking():
        variation("beta", "ada")
    all_flags("ada")
    assert counted() == {}


def test_keys_that_nobody_knows_do_not_count_but_declared_and_overridden_ones(
    flag_file: FlagFile,
) -> None:
    variation("typed-by-a-visitor", "ada")
    is_enabled("new-checkout", "ada")
    with override_flag("overridden", True):
        is_enabled("overridden", "ada")
    assert counted() == {"new-checkout": 1, "overridden": 1}


def test_counts_of_processes_are_added(flag_file: FlagFile) -> None:
    for _ in range(3):
        flag_usage.count("beta")
        assert counters.flush()
    assert counters.read_usage().total == {"beta": 3}


def test_processes_that_merge_at_once_lose_nothing() -> None:
    def merge() -> None:
        counts = {"beta": 1}
        while not counters.merge_into(caches["featureflags"], "flag-usage:2026-01-01", counts):
            time.sleep(0)

    threads = [threading.Thread(target=merge) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = caches["featureflags"].get("flag-usage:2026-01-01")
    assert counters.counts_in(stored) == {"beta": 16}


def test_a_unit_merges_once_a_minute_and_its_page_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with unit_of_work():
        flag_usage.count("beta")
    assert counters.read_usage().total == {}
    counters.due_at[0] = time.monotonic()
    main = threading.get_ident()
    ran_in: list[int] = []
    monkeypatch.setattr(counters, "flush", lambda: ran_in.append(threading.get_ident()))
    with unit_of_work():
        pass
    wait_until(lambda: ran_in, what="the merge")
    assert main not in ran_in
    with unit_of_work():
        pass
    assert len(ran_in) == 1


def test_the_end_of_a_unit_brings_them_into_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    counters.due_at[0] = time.monotonic()
    with unit_of_work():
        flag_usage.count("beta")
    wait_until(lambda: counters.read_usage().total == {"beta": 1}, what="the count")


def test_what_the_cache_does_not_take_is_kept() -> None:
    with override_settings(CACHES=redis_caches(f"redis://127.0.0.1:{free_port()}/0")):
        flag_usage.count("beta")
        assert not counters.flush()
        assert counters.read_usage().failed
        flag_usage.count("beta")
    assert monitoring.counts()["usage_flush_failed"] == 1
    assert counted() == {"beta": 2}


def test_a_cache_without_replace_is_enough() -> None:
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    with override_settings(CACHES={"default": memory, "featureflags": memory}):
        for _ in range(2):
            flag_usage.count("beta")
            assert counters.flush()
        assert counters.read_usage().total == {"beta": 2}


def test_an_entry_of_somebody_else_is_replaced() -> None:
    caches["featureflags"].set(flag_usage.entry_name(TODAY()), b"\xff", 60)
    flag_usage.count("beta")
    assert counted() == {"beta": 1}


def test_made_up_keys_do_not_fill_the_memory() -> None:
    for number in range(counters.MAX_NAMES + 50):
        flag_usage.count(f"flag-{number}")
    assert len(flag_usage.pending) == counters.MAX_NAMES
    flag_usage.count("flag-0")
    assert flag_usage.pending["flag-0"] == 2


def test_a_forked_child_starts_at_nothing() -> None:
    flag_usage.count("beta")
    fork = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[int] = fork.Queue()

    def child() -> None:
        queue.put(len(flag_usage.pending))

    process = fork.Process(target=child)
    process.start()
    assert queue.get(timeout=PATIENCE_SECONDS) == 0
    process.join(PATIENCE_SECONDS)
    assert os.getpid() != process.pid
    assert flag_usage.pending == {"beta": 1}


def test_a_process_that_ends_merges_its_counts() -> None:
    code = (
        "import django; django.setup(); from featureflags.cache import counters; "
        "counters.flag_usage.count('beta'); counters.flag_usage.count('beta')"
    )
    done = run_python({"DJANGO_SETTINGS_MODULE": "config.settings.testing"}, "-c", code)
    assert done.returncode == 0, done.stderr
    assert counters.read_usage().total == {"beta": 2}
