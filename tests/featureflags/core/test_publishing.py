"""A broker that is frozen or gone: saving does not wait, the log has one line, no work is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import current_app

from featureflags.core import outages, publishing
from featureflags.core.publishing import BROKER, publish
from featureflags.tasks import count_changed_segments
from tests.services.postgres import postgres_server
from tests.services.processes import manage
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

LATER_SECONDS = 3600.0


@contextmanager
def configured(**changes: object) -> Iterator[None]:
    """Celery's settings with these changes."""
    before = {name: current_app.conf[name] for name in changes}
    current_app.conf.update(changes)
    try:
        yield
    finally:
        current_app.conf.update(before)


@pytest.fixture
def broker() -> Iterator[RedisServer]:
    with (
        redis_server() as server,
        configured(task_always_eager=False, broker_write_url=server.url),
    ):
        yield server
        server.resume()


def published() -> bool:
    return publish(count_changed_segments)


def taken_again() -> bool:
    """The next message may try: a second later."""
    if BROKER.outage is not None:
        BROKER.outage.ask_again_at = 0.0
    return published()


@pytest.mark.production_stack
class TestPublishing:
    @pytest.fixture(autouse=True)
    def no_second_try(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outages, "RETRY_SECONDS", LATER_SECONDS)

    def test_a_frozen_broker(self, broker: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        wait_until(taken_again, what="it to work")
        BROKER.forget()
        caplog.clear()
        broker.pause()
        assert [published() for _ in range(4)] == [False] * 4
        totals = BROKER.totals()
        assert (totals.missed, totals.refused) == (1, 3), "others do not wait"
        assert [record.exc_info for record in caplog.records] == [None, None]
        broker.resume()
        wait_until(taken_again, what="the broker")

    def test_a_killed_broker(self, broker: RedisServer) -> None:
        wait_until(taken_again, what="it to work")
        BROKER.forget()
        broker.stop()
        assert [published() for _ in range(2)] == [False] * 2
        totals = BROKER.totals()
        assert (totals.missed, totals.refused) == (1, 1)
        broker.start()
        wait_until(taken_again, what="the broker")


SAVE = """
from featureflags.core import outages, publishing
from featureflags.models import Segment
outages.RETRY_SECONDS = 3600.0
Segment.objects.create(key="saved", name="Saved", rules=[])
print("WAITED", publishing.BROKER.totals().missed)
"""

NEXT_MINUTE = """
from featureflags.models import ScheduledRun
ScheduledRun.objects.filter(name="count-changed-segments").delete()
"""

COUNTED = """
from featureflags.models import SegmentSize
print("COUNTED", list(SegmentSize.objects.filter(segment__key="saved").values_list("segment__key", flat=True)))
"""


@pytest.mark.production_stack
def test_what_a_frozen_broker_did_not_take_is_run_by_the_schedule(tmp_path: Path) -> None:
    with postgres_server() as postgres, redis_server() as broker:
        env = {
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": str(tmp_path),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": None,
            "CELERY_BROKER_URL": broker.url,
        }
        assert manage(env, "migrate", "--verbosity=0").returncode == 0
        assert manage(env, "run_due_tasks").returncode == 0
        broker.pause()
        saved = manage(env, "shell", "--command", SAVE)
        assert "WAITED 1\n" in saved.stdout, saved.stderr
        assert saved.stderr.count("did not take") == 1, saved.stderr
        assert "Traceback" not in saved.stderr
        broker.resume()
        assert "COUNTED []" in manage(env, "shell", "--command", COUNTED).stdout

        assert manage(env, "shell", "--command", NEXT_MINUTE).returncode == 0
        assert manage(env, "run_due_tasks").returncode == 0
        assert "COUNTED ['saved']" in manage(env, "shell", "--command", COUNTED).stdout


def test_without_a_broker_it_runs_here() -> None:
    ran: list[int] = []

    @current_app.task(name="tests.publishing.ran")
    def task(number: int) -> None:
        ran.append(number)

    with configured(task_always_eager=True):
        assert publish(task, 7)
    assert ran == [7]
    assert publishing.BROKER.totals().missed == 0
