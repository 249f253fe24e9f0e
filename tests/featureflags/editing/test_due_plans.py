"""Scheduled changes: made once, at their time, by whatever process is alive then."""

from __future__ import annotations

import datetime
import signal
import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.core.timetable import TIMETABLE
from featureflags.editing import approve, change_to, deletion_of, examine, examine_plan, make_plan
from featureflags.editing.due_plans import LEASE, Made, is_beyond, make_due
from featureflags.editing.history import restoration
from featureflags.models import HistoryEntry, PlannedChange, Segment
from featureflags.models.changesets import Moved
from featureflags.tasks import make_planned_changes
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.editing.changing import PRO, TEAM, change, people
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.processes import Piped, manage, on_this_database
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)
State = PlannedChange.State
TOMORROW = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> FlagFile:
    flag_file()
    return flag_file


@pytest.fixture
def segment() -> Segment:
    return SegmentFactory.create(key="beta", name="Beta", rules=PRO)


def somebody() -> User:
    return UserFactory.create(superuser=True)


def scheduled(segment: Segment, **fields: Any) -> PlannedChange:
    examined = change(segment, **fields)
    segment.refresh_from_db()
    due_at = timezone.now() + TOMORROW
    return make_plan(examined, author=somebody(), source="admin", due_at=due_at)


def come(plan: PlannedChange) -> None:
    """As if its instant had come."""
    now = timezone.now()
    PlannedChange.objects.filter(pk=plan.pk).update(due_at=now, next_attempt_at=now)


def saved(**fields: Any) -> None:
    """By somebody else."""
    segment = Segment.objects.get(key="beta")
    for name, value in fields.items():
        setattr(segment, name, value)
    segment.save()


def entries() -> int:
    return HistoryEntry.objects.filter(segment_key="beta").count()


def test_it_is_made_when_it_is_due_and_not_before(segment: Segment) -> None:
    plan = scheduled(segment, rules=TEAM)
    assert (plan.state, plan.needs_approval) == (State.SCHEDULED, False)
    assert make_due() == Made()
    assert Segment.objects.get(key="beta").rules == PRO
    come(plan)
    assert make_due() == Made(applied=1)
    plan.refresh_from_db()
    assert (plan.state, Segment.objects.get(key="beta").rules) == (State.APPLIED, TEAM)
    entry = HistoryEntry.objects.latest("pk")
    assert (plan.entry, entry.actor, entry.approved_by) == (entry, plan.author, None)
    assert make_due() == Made()


def test_a_past_instant_is_refused(segment: Segment) -> None:
    with pytest.raises(ValidationError, match="passed already"):
        make_plan(change(segment, rules=TEAM), author=None, source="admin", due_at=timezone.now())


@pytest.mark.parametrize("what", ["activation", "deletion", "restore", "creation"])
def test_every_kind_of_change(segment: Segment, what: str) -> None:
    first = HistoryEntry.objects.latest("pk")
    saved(rules=TEAM, is_active=False)
    segment.refresh_from_db()
    segment.is_active = True
    wanted = {
        "activation": lambda: change_to(segment),
        "deletion": lambda: deletion_of(segment),
        "restore": lambda: restoration(first).change,
        "creation": lambda: change_to(Segment(key="new", name="New", rules=PRO)),
    }[what]()
    due_at = timezone.now() + TOMORROW
    come(make_plan(examine(wanted), author=None, source="api", due_at=due_at))
    assert make_due() == Made(applied=1)
    found = {
        each.key: (each.is_active, each.rules)
        for each in Segment.objects.filter(key__in=["beta", "new"])
    }
    assert (
        found
        == {
            "activation": {"beta": (True, TEAM)},
            "deletion": {},
            "restore": {"beta": (True, PRO)},
            "creation": {"beta": (False, TEAM), "new": (True, PRO)},
        }[what]
    )


class TestWhatMoved:
    def test_more_than_the_tolerance_refuses_it(self, segment: Segment) -> None:
        people(10, plan="team")
        plan = scheduled(segment, rules=TEAM)
        people(2, plan="team")
        come(plan)
        assert make_due() == Made(refused=1)
        plan.refresh_from_db()
        assert (plan.state, plan.problem) == (
            State.REFUSED,
            "It would move +12, \u22120 users; +10, \u22120 were approved.",
        )
        assert Segment.objects.get(key="beta").rules == PRO

    def test_less_than_the_tolerance_does_not(self, segment: Segment) -> None:
        people(10, plan="team")
        plan = scheduled(segment, rules=TEAM)
        people(1, plan="team")
        come(plan)
        assert make_due() == Made(applied=1)

    @pytest.mark.parametrize(
        ("approved", "now", "percent", "beyond"),
        [
            (Moved(entering=0, leaving=0), Moved(entering=0, leaving=0), 10, False),
            (Moved(entering=0, leaving=0), Moved(entering=1, leaving=0), 10, True),
            (Moved(entering=100, leaving=0), Moved(entering=110, leaving=0), 10, False),
            (Moved(entering=100, leaving=0), Moved(entering=111, leaving=0), 10, True),
            (Moved(entering=100, leaving=0), Moved(entering=89, leaving=0), 10, True),
            (Moved(entering=0, leaving=10), Moved(entering=0, leaving=12), 10, True),
            (Moved(entering=0, leaving=10), Moved(entering=0, leaving=12), 20, False),
            (Moved(entering=1, leaving=0, at_least=True), Moved(entering=9, leaving=0), 0, False),
            (Moved(entering=1, leaving=0), Moved(entering=1, leaving=0, at_least=True), 10, True),
        ],
    )
    def test_the_tolerance(
        self, settings: Settings, approved: Moved, now: Moved, percent: float, beyond: bool
    ) -> None:
        given = {**settings.FEATUREFLAGS, "PLAN_TOLERANCE_PERCENT": float(percent)}
        settings.FEATUREFLAGS = given
        assert is_beyond(approved, now) is beyond


def test_what_needs_an_approval_only_when_it_is_due_waits_for_it(
    segment: Segment, settings: Settings, no_flags: FlagFile
) -> None:
    no_flags(boolean_flag("new", rules=[segment_rule("beta")]))
    plan = scheduled(segment, rules=TEAM)
    assert plan.state == State.SCHEDULED
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "APPROVE_LIVE_SEGMENTS": True}
    come(plan)
    assert make_due() == Made()
    plan.refresh_from_db()
    assert (plan.state, plan.needs_approval) == (State.PROPOSED, True)
    approve(plan, examine_plan(plan), approver=somebody())
    assert make_due() == Made(applied=1)


def test_an_approved_change_waits_for_its_instant(
    segment: Segment, settings: Settings, no_flags: FlagFile
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "APPROVE_LIVE_SEGMENTS": True}
    no_flags(boolean_flag("new", rules=[segment_rule("beta")]))
    plan = scheduled(segment, rules=TEAM)
    assert plan.state == State.PROPOSED
    approve(plan, examine_plan(plan), approver=somebody())
    assert (plan.state, plan.next_attempt_at) == (State.SCHEDULED, plan.due_at)
    assert make_due() == Made()
    come(plan)
    assert make_due() == Made(applied=1)


def test_the_schedule_runs_it_with_a_broker_and_without(segment: Segment) -> None:
    (entry,) = (each for each in TIMETABLE if each.task == make_planned_changes.name)
    assert not entry.for_workers
    come(scheduled(segment, rules=TEAM))
    call_command("run_due_tasks", verbosity=0)
    assert Segment.objects.get(key="beta").rules == TEAM


CLAIMS_AND_HANGS = """
import django; django.setup()
from featureflags.editing import due_plans
def hang(*_args, **_options):
    print("claimed", flush=True)
    input()
due_plans.attempt = hang
due_plans.make_due()
"""
WRITES_AND_HANGS = """
import django; django.setup()
from featureflags.editing import due_plans
def hang(*_args, **_options):
    print("written", flush=True)
    input()
due_plans.announce_plan = hang
due_plans.make_due()
"""


@pytest.mark.parametrize("program", [CLAIMS_AND_HANGS, WRITES_AND_HANGS])
def test_a_killed_worker_loses_nothing_and_it_is_made_once(
    segment: Segment, program: str, no_flags: FlagFile
) -> None:
    """Killed after the claim, and killed after all was written but before the commit."""
    plan, before = scheduled(segment, rules=TEAM), entries()
    come(plan)
    with Piped(_env(no_flags), "-c", program) as worker:
        assert worker.read_line().strip() in {"claimed", "written"}
        assert make_due() == Made(), "the lease of the worker holds"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert Segment.objects.get(key="beta").rules == PRO
    plan.refresh_from_db()
    assert plan.next_attempt_at is not None
    assert plan.next_attempt_at <= timezone.now() + LEASE
    PlannedChange.objects.update(next_attempt_at=timezone.now())
    assert make_due() == Made(applied=1)
    assert (Segment.objects.get(key="beta").rules, entries()) == (TEAM, before + 1)


def test_a_worker_that_was_slow_does_not_make_it_twice(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over, another one makes it, and then the slow one goes on."""
    plan, before = scheduled(segment, rules=TEAM), entries()
    come(plan)
    from featureflags.editing import due_plans  # noqa: PLC0415 - patched below

    seen: list[int] = []
    make = due_plans._make

    def slowly(*args: Any) -> None:
        if not seen:
            seen.append(1)
            PlannedChange.objects.update(next_attempt_at=timezone.now())
            assert make_due() == Made(applied=1)
        make(*args)

    monkeypatch.setattr(due_plans, "_make", slowly)
    make_due()
    assert entries() == before + 1


def test_several_processes_at_once_make_it_once(segment: Segment, no_flags: FlagFile) -> None:
    plan, before = scheduled(segment, rules=TEAM), entries()
    come(plan)
    done, env = list[str](), _env(no_flags)

    def run() -> None:
        done.append(manage(env, "run_due_tasks", "--verbosity", "0").stderr)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection.close()
    assert (Segment.objects.get(key="beta").rules, entries()) == (TEAM, before + 1), done


def _env(flags: FlagFile) -> dict[str, str | None]:
    return {**on_this_database(), "LAUNCHDARKLY_FLAG_FILE": str(flags())}
