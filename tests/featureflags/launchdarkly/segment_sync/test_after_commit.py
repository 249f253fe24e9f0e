"""A segment that is saved here is followed in LaunchDarkly, if that is enabled."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.test import override_settings
from pytest_django.fixtures import Settings

from featureflags.launchdarkly.rest.retries import WHILE_SOMEBODY_WAITS
from featureflags.launchdarkly.segment_sync.apply import SyncFailed
from featureflags.models import Segment
from featureflags.tasks import sync_all_segments, sync_segment
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.launchdarkly.segment_sync.processes import environment
from tests.services.launchdarkly_api import LaunchDarklyApiServer
from tests.services.launchdarkly_segments import clause as remote_clause
from tests.services.processes import celery_worker, manage
from tests.services.redis import redis_server
from tests.services.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WORKER_SECONDS = PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def enabled(settings: Settings, api: LaunchDarklyApiServer) -> Iterator[None]:
    sync = {"SYNC_SEGMENTS": True, **api.settings}
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, **sync}):
        yield


def test_a_segment_that_is_created_appears_after_the_commit(api: LaunchDarklyApiServer) -> None:
    with transaction.atomic():
        SegmentFactory.create(key="beta", name="Beta")
        assert api.requests() == []
    assert api.changes() == [("POST", "beta", []), ("PATCH", "beta", ["addRule"])]


def test_a_segment_that_is_rolled_back_never_appears(api: LaunchDarklyApiServer) -> None:
    with transaction.atomic():
        SegmentFactory.create(key="beta")
        transaction.set_rollback(True)
    assert api.requests() == []


def test_a_new_name_is_followed(api: LaunchDarklyApiServer) -> None:
    segment = SegmentFactory.create(key="beta", name="Beta")
    api.forget_requests()
    segment.name = "Better"
    segment.save()
    assert api.changes() == [("PATCH", "beta", ["updateName"])]
    assert api.store.raw("beta")["name"] == "Better"


def test_other_changes_make_no_call(api: LaunchDarklyApiServer) -> None:
    segment = SegmentFactory.create(key="beta")
    api.forget_requests()
    segment.rules = [rule(clause("role", "in", "admin"))]
    segment.description = "Something else"
    segment.save()
    segment.is_active = False
    segment.save()
    assert api.requests() == []


def test_a_segment_appears_when_it_becomes_active(api: LaunchDarklyApiServer) -> None:
    segment = SegmentFactory.create(key="beta", is_active=False)
    assert api.requests() == []
    segment.is_active = True
    segment.save()
    assert api.store.keys() == ["beta"]


def test_nothing_is_sent_while_it_is_disabled(
    settings: Settings, api: LaunchDarklyApiServer
) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "SYNC_SEGMENTS": False}):
        SegmentFactory.create(key="beta")
    assert api.requests() == []


def test_it_is_disabled_by_default(settings: Settings) -> None:
    from config.settings import base  # noqa: PLC0415

    assert base.FEATUREFLAGS["SYNC_SEGMENTS"] is False


@pytest.mark.parametrize("status", [401, 403])
def test_a_save_outlives_a_refusal(
    api: LaunchDarklyApiServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    api.answer(status)
    SegmentFactory.create(key="beta")
    assert Segment.objects.filter(key="beta").exists()
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert api.token not in caplog.text


def test_a_save_does_not_wait_for_many_tries(api: LaunchDarklyApiServer) -> None:
    api.answer(503)
    SegmentFactory.create(key="beta")
    assert len(api.requests()) == WHILE_SOMEBODY_WAITS.attempts == 2


@pytest.mark.production_stack
def test_a_worker_follows_what_is_sent_through_the_broker(api: LaunchDarklyApiServer) -> None:
    program = "Segment.objects.create(key='beta', name='Beta')"
    with redis_server() as broker:
        env = {
            **environment(api),
            "CELERY_BROKER_URL": broker.url,
            "LAUNCHDARKLY_SYNC_SEGMENTS": "true",
        }
        with celery_worker(env, "--concurrency=1") as worker:
            ended = manage(
                env, "shell", "-c", f"from featureflags.models import Segment; {program}"
            )
            assert ended.returncode == 0, ended.stderr
            wait_until(
                lambda: api.requests("PATCH") or "Traceback" in worker.log(),
                timeout=WORKER_SECONDS,
                what="the worker",
            )
            assert api.changes() == [("POST", "beta", []), ("PATCH", "beta", ["addRule"])]
            assert api.token not in worker.log()


def test_a_save_outlives_a_broker_that_is_gone(api: LaunchDarklyApiServer) -> None:
    env = {
        **environment(api),
        "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        "LAUNCHDARKLY_SYNC_SEGMENTS": "true",
    }
    program = "Segment.objects.create(key='beta', name='Beta'); print('saved')"
    ended = manage(env, "shell", "-c", f"from featureflags.models import Segment; {program}")
    assert "saved" in ended.stdout, ended.stderr
    assert "The broker did not take featureflags.tasks." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert Segment.objects.filter(key="beta").exists()
    assert api.requests() == []


def test_what_was_missed_is_found_by_the_schedule(
    api: LaunchDarklyApiServer, settings: Settings
) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "SYNC_SEGMENTS": False}):
        SegmentFactory.create(key="beta")
        assert sync_all_segments() == []
    assert api.requests() == []
    assert "beta" in {each.partition(":")[0] for each in sync_all_segments()}
    assert ("POST", "beta", []) in api.changes()
    assert sync_all_segments() == []


def test_a_save_outlives_missing_settings(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "API_TOKEN": ""}):
        SegmentFactory.create(key="beta")
    assert "LAUNCHDARKLY_API_TOKEN" in caplog.text


def test_what_a_person_must_decide_is_logged_and_left(
    api: LaunchDarklyApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api.store.put("beta", remote_clause("email", "in", "x"))
    SegmentFactory.create(key="beta")
    assert "Segment beta in LaunchDarkly: somebody else's" in caplog.text
    assert api.changes() == []


def test_a_task_that_could_not_do_its_work_fails(api: LaunchDarklyApiServer) -> None:
    SegmentFactory.create(key="beta")
    api.store.delete("beta")
    api.answer(403, method="POST")
    with pytest.raises(SyncFailed, match="beta: a fault of the test"):
        sync_segment("beta")
