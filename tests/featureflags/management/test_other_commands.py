"""`run_due_tasks`, `invalidate_contexts` and the help of every command."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from celery import current_app
from django.core.management import get_commands, load_command_class
from django.db import connection
from pytest_django.fixtures import Settings

from featureflags.cache import protocol
from featureflags.capture import installation, own_writes
from featureflags.evaluation import is_enabled
from featureflags.evaluation.resolve import resolve
from featureflags.models import ScheduledRun, Segment
from featureflags.warming.scope import scope_for
from featureflags.warming.worker import warm
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call
from users.models import User

NAMES = sorted(current_app.conf.beat_schedule)
OURS = sorted(name for name, app in get_commands().items() if app == "featureflags")


@pytest.fixture
def broken_schedule() -> object:
    before = current_app.conf.beat_schedule
    current_app.conf.beat_schedule = {
        "sweep": before["sweep-file-caches"],
        "lost": {"task": "no.such.task", "schedule": 60},
    }
    yield
    current_app.conf.beat_schedule = before


@pytest.fixture
def daily_schedule() -> Iterator[None]:
    """The tasks of the settings, each due once a day: no minute that passes makes one due again."""
    before = current_app.conf.beat_schedule
    current_app.conf.beat_schedule = {
        name: {**entry, "schedule": 86_400} for name, entry in before.items()
    }
    yield
    current_app.conf.beat_schedule = before


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("daily_schedule")
def test_due_tasks_run_once_and_the_list_runs_nothing(call: Call) -> None:
    listed = json.loads(call("run_due_tasks", "--list", "--json").out)
    assert [entry["due"] for entry in listed] == [True] * len(NAMES)
    assert not ScheduledRun.objects.exists()
    ended = call("run_due_tasks")
    assert ended.error is None
    assert [line.split(" (")[0] for line in ended.out.splitlines()] == [
        f"{name}: done" for name in NAMES
    ]
    assert call("run_due_tasks").out == "No scheduled task is due.\n"
    assert json.loads(call("run_due_tasks", "--json").out) == []
    assert "warm-contexts (featureflags.tasks.warm_contexts): not due" in (
        call("run_due_tasks", "--list").out
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broken_schedule")
def test_a_failed_task_is_an_error_after_all_others_ran(call: Call) -> None:
    ended = call("run_due_tasks")
    assert ended.error == "Failed: lost."
    assert "sweep: done" in ended.out
    assert "lost: FAILED: " in ended.out


def write_without_triggers(sql: str, *values: bool) -> None:
    """As where the application may create none: nobody notices the write."""
    installation.remove(connection)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own_writes, "_committed", [])
            patch.setattr(installation, "_make_up_for", lambda *_: None)
            installation.install(connection)


@pytest.mark.django_db(transaction=True)
def test_a_write_without_triggers_is_seen_after_the_command(call: Call, settings: Settings) -> None:
    user, other = UserFactory.create(name="Before"), UserFactory.create(name="Before")
    warm(scope_for(None, everyone=True))
    write_without_triggers("UPDATE users_user SET name = 'After'")

    def name_of(someone: User) -> object:
        return resolve(str(someone.pk)).context.get("name")

    assert name_of(user) == "Before"
    assert call("invalidate_contexts", user.email).out == "1 row forgotten.\n"
    assert (name_of(user), name_of(other)) == ("After", "Before")
    call("invalidate_contexts", str(other.pk), str(user.pk))
    assert name_of(other) == "After"


@pytest.mark.django_db(transaction=True)
def test_segments_written_without_triggers_are_seen_after_the_command(call: Call) -> None:
    user = UserFactory.create(metadata={"plan": "pro"})
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])
    assert "paying" in resolve(user).segments
    write_without_triggers(
        "UPDATE featureflags_segment SET is_active = %s WHERE key = 'paying'", False
    )
    assert "paying" in resolve(user).segments
    assert call("invalidate_contexts", "--all-segments").error is None
    assert "paying" not in resolve(user).segments
    assert not Segment.objects.get(key="paying").is_active


@pytest.mark.django_db(transaction=True)
def test_whom_nobody_knows_cannot_be_forgotten_by_address(call: Call) -> None:
    user = UserFactory.create()
    warm(scope_for(None, everyone=True))
    ended = call("invalidate_contexts", str(user.pk), "nobody@example.com")
    assert ended.error is not None
    assert "nothing was forgotten" in ended.error
    assert protocol.read([str(user.pk)]).fresh
    assert call("invalidate_contexts", str(uuid.uuid4())).error is None
    assert (
        call("invalidate_contexts").error
        == "Name users or other rows, --all-segments, or --everything."
    )


@pytest.mark.django_db(transaction=True)
def test_a_cache_that_is_down_is_an_error_of_the_command(call: Call, settings: Settings) -> None:
    user = UserFactory.create()
    dead = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "featureflags": dead}
    ended = call("invalidate_contexts", user.email)
    assert (
        ended.error
        == "The cache cannot be reached. Its old entries go within 5 seconds of its return."
    )
    assert is_enabled("new-checkout", user) is False


def test_the_commands_that_the_readme_names_are_here() -> None:
    named = {"evaluate_flag", "show_context", "warm_contexts", "run_due_tasks"}
    assert named | {"invalidate_contexts"} <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_the_help_shows_an_example(name: str) -> None:
    text = load_command_class("featureflags", name).create_parser("manage.py", name).format_help()
    assert f"\n  manage.py {name}" in text
