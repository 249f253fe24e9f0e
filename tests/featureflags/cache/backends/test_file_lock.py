"""A process that is stopped while it holds a lock of the cache stops nobody else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from featureflags.cache import snapshot_store
from featureflags.cache.backends.file import DISK, SharedFileCache
from featureflags.cache.backends.file_lock import LOCK_SECONDS
from featureflags.cache.backends.surviving_file import SurvivingFileCache
from featureflags.core.deadlines import Purpose, within
from featureflags.evaluation.resolve import resolve
from featureflags.models import Segment
from tests.factories import UserFactory, clause, rule
from tests.services.processes import Piped
from tests.services.waiting import PATIENCE_SECONDS

HOLD = """
import sys, time
from pathlib import Path
from featureflags.cache.backends.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Path]:
    """The folder of a cache, all of whose locks a process holds that was stopped."""
    folder = tmp_path / "cache"
    path = Path(SharedFileCache(str(folder), {})._key_to_file("a"))
    with Piped({}, "-c", HOLD, str(path)) as process:
        assert process.read_line() == "held\n"
        os.kill(process.pid, signal.SIGSTOP)
        yield folder


def seconds_of_a_refused_write(folder: Path) -> float:
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="Another process keeps a lock"):
        SharedFileCache(str(folder), {}).set("a", 1)
    return time.monotonic() - began


def test_a_write_is_refused_within_the_deadline(stopped: Path) -> None:
    assert LOCK_SECONDS <= seconds_of_a_refused_write(stopped) < LOCK_SECONDS + PATIENCE_SECONDS


def test_a_request_waits_as_long_as_for_redis_and_once(
    stopped: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second write does not sleep."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_CHECK_REDIS_SECONDS": 0.2}
    with within(Purpose.FLAG_CHECK) as budget:
        assert seconds_of_a_refused_write(stopped) >= 0.2
        assert budget.redis_seconds <= 0
        with monkeypatch.context() as patch:
            patch.setattr("featureflags.cache.backends.file_lock.time.sleep", pytest.fail)
            seconds_of_a_refused_write(stopped)


def test_what_a_page_works_without_is_removed_without_the_lock(stopped: Path) -> None:
    """As a session that has ended: it may not come back."""
    cache = SurvivingFileCache(str(stopped), {})
    path = Path(cache._key_to_file("a"))
    for change in (lambda: cache.set("a", 2), lambda: cache.delete("a")):
        cache._rename_into(path, lambda file: cache._write_content(file, 60, 1))
        assert cache.get("a") == 1
        change()
        assert cache.get("a") is None
        assert DISK.outage is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded_stack
def test_flags_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder is locked: rows come from the database, and writes do not wait for good."""
    user = UserFactory.create(metadata={"plan": "pro"})
    Segment.objects.create(key="pro", name="Pro", rules=[rule(clause("custom_plan", "in", "pro"))])
    monkeypatch.setattr("featureflags.cache.backends.file_lock.LOCK_SECONDS", 0.1)
    monkeypatch.setattr(
        "featureflags.cache.backends.file_lock._is_taken", lambda _descriptor: False
    )
    snapshot_store.resume()
    assert "pro" in resolve(str(user.pk)).all_segments
    user.metadata = {}
    user.save()
    snapshot_store.resume()
    assert "pro" not in resolve(str(user.pk)).all_segments
