"""Cache warm-ups by real workers through a real broker: shared, killed, continued, joined, cancelled."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app
from django.core.management import CommandError, call_command
from django.utils import timezone

from featureflags.models import WarmRange, WarmRun
from featureflags.warming.progress import Report, report
from featureflags.warming.ranges import within
from featureflags.warming.scope import users_seen_since
from tests.featureflags.warming.people import as_stored, cached, crowd
from tests.profiles import DEEP
from tests.services.processes import (
    GuidonProcess,
    Piped,
    celery_worker,
    on_this_database,
    run_python,
)
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db(transaction=True)]

MOST_KILLS = 12
SECONDS = 240.0 if DEEP else 90.0
SLOWLY: dict[str, str | None] = {"WARM_USERS_PER_SECOND": "20"}
"""Ranges of 20 users, one each second: time enough to kill a worker in the midst of it. The worker that goes on
is not held back."""

Environment = dict[str, str | None]


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def env(broker: RedisServer) -> Environment:
    """For processes that share the database and the cache of this test, and an empty queue."""
    with redis.Redis.from_url(broker.url) as client:
        client.flushall()
    return {
        **on_this_database(),
        "CELERY_BROKER_URL": broker.url,
        "DJANGO_SETTINGS_MODULE": "tests.featureflags.warming.impatient",
    }


FOLLOW = ("manage.py", "warm_contexts", "--all", "--celery", "--json")


def worker(env: Environment) -> GuidonProcess:
    return celery_worker(env, "--concurrency=1")


@contextmanager
def follower(env: Environment, *arguments: str) -> Iterator[Piped]:
    """`warm_contexts --celery`, under way."""
    with Piped(env, *FOLLOW, *arguments, errors=True) as process:
        yield process


def line_of(process: Piped) -> dict[str, Any]:
    """What a follower says when the run has ended well."""
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, error
    found: dict[str, Any] = json.loads(out)
    return found


def the_run() -> Report | None:
    run = WarmRun.objects.order_by("pk").last()
    return None if run is None else report(run.pk)


def await_midst(users: int) -> Report:
    """Until some ranges are done, one is under way, and some are left."""

    def midst() -> Report | None:
        now = the_run()
        halfway = now is not None and 0 < now.ranges_done < users // 20 - 1
        return now if halfway and now is not None and now.ranges_running else None

    found = wait_until(midst, timeout=SECONDS, what="the midst of the run")
    assert found is not None
    return found


def send(env: Environment, name: str, **arguments: object) -> None:
    """A task, as beat sends it."""
    with current_app.connection_for_write(env["CELERY_BROKER_URL"]) as link:
        current_app.send_task(f"featureflags.tasks.{name}", kwargs=arguments, connection=link)


def pool_process(pidfile: Path) -> int:
    """The process that runs the tasks of a worker with one."""
    main = pidfile.read_text().strip()
    [child] = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return int(child)


@contextmanager
def a_terminal() -> Iterator[tuple[int, list[bytes]]]:
    """One end of a terminal, and what is written to it, which is read all the while."""
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        # The end of the last writer is an error to Linux.
        with suppress(OSError):
            while found := os.read(ours, 1 << 16):
                seen.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield theirs, seen
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def test_workers_share_a_run_which_the_command_follows_with_a_bar(env: Environment) -> None:
    users = crowd(600)
    with worker(env) as one, worker(env) as other, a_terminal() as (end, seen):
        ended = run_python(env, *FOLLOW, timeout=SECONDS, stderr=end)
        assert ended.returncode == 0
        for each in (one, other):
            assert "featureflags.tasks.warm_range" in each.log().partition(" ready.")[2]
    assert "100%|" in b"".join(seen).decode()
    data = json.loads(ended.stdout)
    assert (data["state"], data["ranges"], data["ranges_done"]) == ("done", 30, 30)
    assert (data["read"], data["written"], data["failed"]) == (600, 600, 0)
    assert cached(*users) == as_stored(*users)


def test_kill_9_in_the_midst_of_a_run_loses_nothing(env: Environment, tmp_path: Path) -> None:
    """The command that follows sends the lost range again, long before Redis would."""
    users = crowd(800)
    pidfile = tmp_path / "pid"
    first = celery_worker({**env, **SLOWLY}, "--concurrency=1", f"--pidfile={pidfile}")
    with first, follower(env) as process:
        await_midst(800)
        os.kill(pool_process(pidfile), signal.SIGKILL)
        wait_until(lambda: interrupted_and_done() >= 1, timeout=SECONDS, what="the range again")
        await_midst(800)
        first.kill()
        with worker(env):
            data = line_of(process)
    assert (data["state"], data["ranges_done"], data["read"]) == ("done", 40, 800)
    assert interrupted_and_done() >= 2
    assert cached(*users) == as_stored(*users)


def interrupted_and_done() -> int:
    """Of the ranges that are done, those that were begun again."""
    return WarmRange.objects.filter(state=WarmRange.State.DONE, attempts__gt=1).count()


@pytest.mark.skipif(not DEEP, reason="only in `make test-deep`")
def test_workers_killed_at_any_moment_lose_nothing(env: Environment) -> None:
    users = crowd(1200)
    chance = random.Random(9)
    slowly = {**env, **SLOWLY}
    kills = 0
    with worker(slowly) as one, worker(slowly) as other, follower(slowly) as process:
        while process.poll() is None and kills < MOST_KILLS:
            time.sleep(chance.uniform(0.1, 4))
            victim = chance.choice([one, other])
            victim.kill()
            kills += 1
            victim.start()
        data = line_of(process)
    assert kills >= 3
    assert (data["state"], data["read"]) == ("done", 1200)
    assert cached(*users) == as_stored(*users)


def test_a_run_that_nobody_follows_goes_on_after_its_worker_was_killed(env: Environment) -> None:
    """As at night: the task of the schedule begins it, and another one looks after it."""
    users = crowd(800, last_seen_at=timezone.now())
    with worker({**env, **SLOWLY}) as first:
        send(env, "warm_contexts")
        await_midst(800)
        first.kill()
    with worker(env):

        def has_ended() -> bool:
            now = the_run()
            return now is not None and now.ended

        def is_tended() -> bool:
            """Each second, as beat does it each minute: many messages would keep the worker busy."""
            send(env, "tend_warm_runs")
            with suppress(TimeoutError):
                wait_until(has_ended, timeout=1.0, what="the end")
            return has_ended()

        wait_until(is_tended, timeout=SECONDS, what="the end of the run")
    ended = the_run()
    assert ended is not None
    assert ended.succeeded
    assert cached(*users) == as_stored(*users)


def test_an_equal_run_joins_the_current_one_which_can_be_cancelled(env: Environment) -> None:
    users = crowd(2000)
    slowly = {**env, **SLOWLY}
    with worker(slowly), follower(slowly) as first, ExitStack() as stack:
        await_midst(2000)
        second = stack.enter_context(follower(slowly))
        assert second.stderr is not None
        assert "Joined cache warm-up" in second.stderr.readline()
        with pytest.raises(CommandError, match="is running with a narrower scope"):
            call_command("warm_contexts", "--all", "--force", verbosity=0)
        call_command("warm_contexts", "--cancel", verbosity=0)
        ends = [process.communicate(timeout=SECONDS) for process in (first, second)]
        assert [first.returncode, second.returncode] == [1, 1]
    data = [json.loads(out) for out, _ in ends]
    assert [each["state"] for each in data] == ["cancelled", "cancelled"]
    assert data[0]["run"] == data[1]["run"]
    assert 0 < data[0]["ranges_done"] < 100
    assert WarmRun.objects.count() == 1
    found, written = cached(*users).keys(), {str(pk) for pk in keys_of_done()}
    assert written <= found, "what is warm stays so"
    assert len(found) <= len(written) + 20, "the range in hand may have been written"


def keys_of_done() -> list[Any]:
    """The keys of the users whose range was done."""
    found: list[Any] = []
    for row in WarmRange.objects.filter(state=WarmRange.State.DONE):
        users = within(users_seen_since(None), row.first, row.until)
        found += users.values_list("pk", flat=True)
    return found


def test_the_follower_lists_what_is_left_without_workers(env: Environment) -> None:
    crowd(40)
    with follower(env, "--give-up-after", "1") as process:
        out, error = process.communicate(timeout=SECONDS)
    data = json.loads(out)
    assert process.returncode == 1
    assert data["state"] == "running"
    assert [each["number"] for each in data["unfinished"]] == [1, 2]
    assert "Some rows, or the rules, are not in the cache." in error
    with worker(env):
        wait_until(lambda: (now := the_run()) and now.ended, timeout=SECONDS, what="the end")
