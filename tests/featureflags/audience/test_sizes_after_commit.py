"""Sizes are counted once after each transaction that changed segments."""

from __future__ import annotations

import os

import pytest
from django.db import connection, transaction
from pytest_django import DjangoCaptureOnCommitCallbacks

from featureflags.audience import stored_sizes
from featureflags.audience.stored_sizes import count_everything
from featureflags.models import Segment
from tests.factories import SegmentFactory, SegmentMemberFactory
from tests.featureflags.audience.sized import GERMANS, german, size
from tests.services.processes import celery_worker, manage
from tests.services.redis import redis_server
from tests.services.waiting import PATIENCE_SECONDS, wait_until

WORKER_SECONDS = PATIENCE_SECONDS


@pytest.mark.django_db
def test_one_transaction_is_counted_once(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    count_everything()
    with django_capture_on_commit_callbacks(execute=True) as callbacks, transaction.atomic():
        SegmentFactory.create_batch(3)
        SegmentMemberFactory.create(segment__key="four")
    mine = [each for each in callbacks if each.__module__ == "featureflags.receivers"]
    assert len([each for each in mine if "count" in each.__name__]) == 1
    assert size("four") == 1


@pytest.mark.django_db(transaction=True)
class TestAfterCommit:
    def test_without_a_broker_the_saving_request_counts(self) -> None:
        german()
        segment = SegmentFactory.create(key="germans", rules=GERMANS)
        assert size("germans") == 1
        SegmentMemberFactory.create(segment=segment)
        assert size("germans") == 2
        segment.members.all().delete()
        assert size("germans") == 1

    def test_a_rollback_counts_nothing(self) -> None:
        with transaction.atomic():
            SegmentFactory.create(key="germans", rules=GERMANS)
            transaction.set_rollback(True)
        assert size("germans") is None

    def test_a_failing_count_does_not_fail_the_save(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(**_options: object) -> None:
            raise OSError("no count today")

        monkeypatch.setattr(stored_sizes, "segment_sizes", fail)
        SegmentFactory.create(key="germans", rules=GERMANS)
        assert Segment.objects.filter(key="germans").exists()
        assert "no count today" in caplog.text


SAVE = """
from featureflags.models import Segment
clause = {"attribute": "custom_country", "op": "in", "values": ["DE"], "negate": False}
Segment.objects.create(key="germans", name="Germans", rules=[{"clauses": [clause]}])
"""


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_with_a_broker_a_worker_counts_what_was_saved() -> None:
    german()
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    with redis_server() as broker:
        env = {
            "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
            "CELERY_BROKER_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        saved = manage(env, "shell", "-c", SAVE)
        assert saved.returncode == 0, saved.stderr
        assert size("germans") is None
        with celery_worker(env, "--concurrency=1") as worker:
            wait_until(
                lambda: size("germans") == 1 or "Traceback" in worker.log(),
                timeout=WORKER_SECONDS,
                what="the count",
            )
            assert size("germans") == 1, worker.log()
