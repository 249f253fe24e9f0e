"""A project without Celery: the tasks run in the process that calls them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import current_app

from featureflags import celery as featureflags_celery
from featureflags.core import publishing, timetable, without_celery
from featureflags.core.timetable import TIMETABLE, Entry


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(without_celery, "TASKS", {})
    monkeypatch.setattr(without_celery, "_AROUND", [])


def test_a_task_runs_where_it_is_called() -> None:
    @without_celery.shared_task
    def double(number: int) -> int:
        return number * 2

    assert double(2) == 4
    assert double.delay(3) == 6
    assert double.apply((4,)) == 8
    assert without_celery.TASKS[double.name] is double
    assert double.name == f"{__name__}.double"


def test_a_bound_task_knows_that_somebody_waits() -> None:
    def is_eager(self: without_celery.LocalTask) -> bool:
        return self.request.is_eager

    task = without_celery.shared_task(bind=True, acks_late=True)(is_eager)

    assert task.delay() is True


def test_each_run_is_within_what_was_added() -> None:
    seen: list[str] = []

    @contextmanager
    def unit() -> Iterator[None]:
        seen.append("begin")
        yield
        seen.append("end")

    @without_celery.shared_task
    def work() -> None:
        seen.append("work")

    without_celery.around_each(unit)
    without_celery.around_each(unit)
    work.delay()

    assert seen == ["begin", "work", "end"]


def test_what_a_task_raises_reaches_the_caller() -> None:
    @without_celery.shared_task
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail.delay()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"task_always_eager": True, "broker_url": "redis://broker"}, False),
        ({"task_always_eager": False, "broker_url": None}, False),
        ({"task_always_eager": False, "broker_url": "redis://broker"}, True),
        (
            {"task_always_eager": False, "broker_url": None, "broker_write_url": "redis://b"},
            True,
        ),
    ],
)
def test_a_broker_is_one_that_is_named(
    changes: dict[str, object], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in publishing.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = {name: current_app.conf[name] for name in changes}
    current_app.conf.update(changes)
    try:
        assert publishing.has_broker() is expected
    finally:
        current_app.conf.update(before)


def test_a_broker_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: current_app.conf[name] for name in ("task_always_eager", "broker_url")}
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://broker")
    current_app.conf.update(task_always_eager=False, broker_url=None)
    try:
        assert publishing.has_broker()
    finally:
        current_app.conf.update(before)


def test_an_entry_is_due_so_long_after_its_last_run() -> None:
    entry = Entry(name="a", task="b", every=timetable.HOUR)
    now = datetime.datetime.now(datetime.UTC)

    assert entry.is_due(now - datetime.timedelta(minutes=61))
    assert not entry.is_due(now - datetime.timedelta(minutes=59))


def test_beat_gets_the_whole_timetable_and_a_machine_without_workers_less() -> None:
    whole = featureflags_celery.schedule()
    alone = featureflags_celery.schedule(broker=False)

    assert set(whole) == {entry.name for entry in TIMETABLE}
    assert set(whole) - set(alone) == {
        "tend-warm-runs",
        "count-changed-segments",
        "tend-flag-counts",
    }
    assert whole["warm-contexts"]["schedule"].hour == {3}
    assert whole["warm-contexts"]["schedule"].minute == {15}
    assert len(whole["sync-segments"]["schedule"].minute) == 12
