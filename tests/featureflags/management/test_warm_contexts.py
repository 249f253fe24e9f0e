"""`warm_contexts`: its scope, its output, its failures."""

from __future__ import annotations

import datetime
import json
import os
import pty
import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import protocol, snapshot_store
from featureflags.models import WarmRun
from featureflags.warming.progress import report
from featureflags.warming.runs import begin
from featureflags.warming.scope import Scope
from tests.factories import UserFactory
from tests.featureflags.management.conftest import Call
from tests.services.processes import Piped, manage, run_python
from tests.services.tables import make_tables
from tests.services.waiting import PATIENCE_SECONDS, wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = PATIENCE_SECONDS


def seen(days_ago: float) -> User:
    return UserFactory.create(last_seen_at=timezone.now() - datetime.timedelta(days=days_ago))


def is_cached(user: User) -> bool:
    return bool(protocol.read([str(user.pk)]).fresh)


def test_the_options_set_the_scope(call: Call) -> None:
    active, idle, never = seen(1), seen(20), UserFactory.create()
    assert call("warm_contexts").out.startswith("1 users read, 1 written,")
    assert [is_cached(user) for user in (active, idle, never)] == [True, False, False]
    assert json.loads(call("warm_contexts", "--active-within", "30", "--json").out)["read"] == 2
    data = json.loads(call("warm_contexts", "--all", "--json").out)
    assert (data["read"], data["written"], data["kept"], data["state"]) == (3, 1, 2, "done")
    assert (data["ranges"], data["ranges_done"], data["unfinished"]) == (1, 1, [])
    assert is_cached(never)
    assert json.loads(call("warm_contexts", "--all", "--force", "--json").out)["written"] == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all", "--active-within", "1"],
        ["--active-within", "0"],
        ["--active-within", "x"],
        ["--all", "--cancel"],
    ],
)
def test_options_that_make_no_sense_are_refused(call: Call, arguments: list[str]) -> None:
    ended = call("warm_contexts", *arguments)
    assert ended.error is not None
    assert ended.out == ""


def test_a_dead_cache_is_a_failure(
    call: Call, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_store, "PAUSE_SECONDS", 0.01)
    dead = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "featureflags": dead}
    seen(1)
    ended = call("warm_contexts")
    assert "1 failed" in ended.out
    assert ended.error == "Some rows, or the rules, are not in the cache."


def test_a_run_that_is_under_way_is_joined_or_refused_or_cancelled(call: Call) -> None:
    seen(1)
    run = begin(Scope(days=7)).run
    ended = call("warm_contexts", "--all")
    assert ended.error is not None
    assert (
        f"warm-up {run} is running with a narrower scope (users seen within 7 days)" in ended.error
    )
    assert call("warm_contexts", "--active-within", "3").error is None
    assert WarmRun.objects.get().state == WarmRun.State.DONE
    run = begin(Scope(days=7)).run
    assert call("warm_contexts", "--cancel").out == f"Cache warm-up {run} is cancelled.\n"
    assert call("warm_contexts", "--cancel").error == "No cache warm-up is running."
    assert report(run).state == "cancelled"


def test_workers_need_a_broker(call: Call) -> None:
    ended = call("warm_contexts", "--celery")
    assert ended.error is not None
    assert "CELERY_BROKER_URL" in ended.error
    assert not WarmRun.objects.exists()


@pytest.mark.embedded_stack
def test_ctrl_c_cancels_the_run_that_it_began(tmp_path: Path) -> None:
    env: dict[str, str | None] = {"GUIDON_VAR_DIR": str(tmp_path), "WARM_USERS_PER_SECOND": "1"}
    make_tables(tmp_path / "db.sqlite3")
    assert manage(env, "seed_demo", "--users=120").returncode == 0
    with Piped(env, "manage.py", "warm_contexts", "--all", errors=True) as process:
        wait_until(lambda: "running" in asked(env, "range"), timeout=SECONDS, what="a range")
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Cache warm-up 1 is cancelled." in output
    assert "Traceback" not in output
    assert "cancelled" in asked(env, "run")


def asked(env: Mapping[str, str | None], what: str) -> str:
    """The states of the runs, or ranges, in the database of another process."""
    path = Path(str(env["GUIDON_VAR_DIR"])) / "db.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute(f"SELECT state FROM featureflags_warm{what}").fetchall())


@pytest.mark.embedded_stack
def test_a_bar_is_drawn_on_a_terminal_alone(tmp_path: Path) -> None:
    env: dict[str, str | None] = {"GUIDON_VAR_DIR": str(tmp_path)}
    make_tables(tmp_path / "db.sqlite3")
    assert "100%|" in drawn(env, ["seed_demo", "--users=10"])
    piped = manage(env, "warm_contexts", "--all")
    assert "%|" not in piped.stderr
    assert "14 users read" in piped.stdout
    assert "100%|" in drawn(env, ["warm_contexts", "--all"])


def drawn(env: Mapping[str, str | None], command: list[str]) -> str:
    """What a command writes on a terminal."""
    terminal, end = pty.openpty()
    assert run_python(env, "manage.py", *command, stderr=end).returncode == 0
    os.close(end)
    seen = os.read(terminal, 65_536).decode()
    os.close(terminal)
    return seen


def test_command_error_is_what_manage_turns_into_exit_code_1() -> None:
    assert CommandError("x").returncode == 1
