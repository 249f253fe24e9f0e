"""The compiled rules of a process: of one moment, never from cachalot, and kept for bad times."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from featureflags.cache import compiled_rules, snapshot_store
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.results import Degradation
from featureflags.core import monitoring
from featureflags.models import Segment
from featureflags.models.versions import RulesetVersion
from tests.emptying import empty_caches
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.cache.rule_reads import ATTRIBUTES, ROLE_USER, matches

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def database_down() -> Iterator[None]:
    """Every query fails as when the server is gone."""

    def fail(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        yield


def test_a_warm_process_asks_the_cache_alone(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    current_ruleset()
    with django_assert_num_queries(0):
        assert matches("user")


def test_an_edit_is_seen_by_the_next_call() -> None:
    segment = SegmentFactory.create(key="s", rules=ROLE_USER)
    assert matches("s")
    segment.rules = [rule(clause("role", "in", "admin"))]
    segment.save()
    assert not matches("s")
    segment.rules = ROLE_USER
    segment.is_active = False
    segment.save()
    assert not matches("s")
    Segment.objects.filter(pk=segment.pk).update(is_active=True)
    assert matches("s")
    segment.delete()
    assert not matches("s")


def test_a_segment_that_did_not_change_is_not_compiled_again() -> None:
    SegmentFactory.create(key="s", rules=ROLE_USER)
    before = current_ruleset().ruleset.source("s")
    SegmentFactory.create(key="t")
    after = current_ruleset().ruleset.source("s")
    assert before is not None
    assert after is not None
    assert before.rules is after.rules


def test_an_inactive_segment_has_no_members_but_stays_known() -> None:
    segment = SegmentFactory.create(key="off", rules=ROLE_USER)
    SegmentFactory.create(
        key="not-off", rules=[rule(clause("", "segmentMatch", "off", negate=True))]
    )
    assert not matches("not-off")
    segment.is_active = False
    segment.save()
    assert matches("not-off")
    assert current_ruleset().ruleset.problems == {}


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"not": "a list"}, "The rules must be a list"),
        ([rule(clause("role", "sounds like", "x"))], "Rule 1, condition 1: unknown operator"),
        ([rule(clause("role", "matches", "("))], 'Rule 1, condition 1: "(" is not a valid'),
        ([rule(clause("", "segmentMatch", "gone"))], "Rule 1, condition 1: there is no segment"),
        (
            [rule(clause("", "segmentMatch", "broken", negate=True))],
            "Rule 1, condition 1: the segment 'broken' leads back",
        ),
    ],
)
def test_a_broken_row_matches_nobody_and_is_reported(
    caplog: pytest.LogCaptureFixture, rules: Any, problem: str
) -> None:
    segment = SegmentFactory.create(key="broken", rules=ROLE_USER)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE featureflags_segment SET rules = %s WHERE id = %s",
            [json.dumps(rules), segment.pk],
        )
    RulesetVersion.raise_version()
    with caplog.at_level(logging.WARNING, "featureflags"):
        for _ in range(3):
            assert not matches("broken")
            assert matches("user"), "the others still work"
    assert monitoring.counts()["segment_broken:broken"] >= 1
    assert len([r for r in caplog.records if problem in r.getMessage()]) == 1


def test_rolled_back_rules_do_not_stay_in_the_process() -> None:
    current_ruleset()
    with transaction.atomic():
        SegmentFactory.create(key="never", rules=ROLE_USER)
        assert matches("never"), "one's own writes are seen"
        transaction.set_rollback(True)
    # The next write gets the number again that was rolled back.
    SegmentFactory.create(key="other", rules=ROLE_USER)
    assert not matches("never")
    assert matches("other")


def test_without_another_write_they_are_gone_too() -> None:
    with transaction.atomic():
        SegmentFactory.create(key="never", rules=ROLE_USER)
        assert matches("never")
        transaction.set_rollback(True)
    assert not matches("never")


class TestDatabaseDown:
    def test_a_warm_process_goes_on_undegraded_on_the_cache_s_word(self) -> None:
        current_ruleset()
        with database_down():
            loaded = current_ruleset()
            assert "user" in loaded.ruleset.match(ATTRIBUTES, now=0)
        assert loaded.degraded is None

    def test_a_cold_process_takes_the_spare(self) -> None:
        current_ruleset()
        compiled_rules.forget_loaded()
        with database_down():
            loaded = current_ruleset()
        assert "user" in loaded.ruleset.match(ATTRIBUTES, now=0)
        assert loaded.degraded is None, "its version is the one in force"

    def test_when_nobody_knows_the_version_the_last_known_rules_are_stale(self) -> None:
        current_ruleset()
        snapshot_store.remove_version()
        with database_down():
            loaded = current_ruleset()
        assert "user" in loaded.ruleset.match(ATTRIBUTES, now=0)
        assert loaded.degraded is Degradation.SEGMENTS_STALE
        assert current_ruleset().degraded is None, "it heals"

    def test_when_nothing_is_known_there_are_no_segments_and_that_is_said(self) -> None:
        compiled_rules.forget_loaded()
        empty_caches()
        with database_down():
            loaded = current_ruleset()
        assert loaded.ruleset.match(ATTRIBUTES, now=0) == frozenset()
        assert loaded.degraded is Degradation.SEGMENTS_UNAVAILABLE
        assert matches("user"), "a failure is not kept"


def test_two_who_save_at_once_cannot_close_a_cycle() -> None:
    """Each names the other's segment: the second is refused."""
    SegmentFactory.create(key="a")
    SegmentFactory.create(key="b")
    start = threading.Barrier(2)
    errors: list[str] = []

    def save(key: str, other: str) -> None:
        try:
            segment = Segment.objects.get(key=key)
            segment.rules = [rule(clause("", "segmentMatch", other))]
            start.wait(timeout=30)
            segment.save()
        except Exception as error:  # noqa: BLE001 - asserted below
            errors.append(str(error))
        finally:
            connection.close()

    for _ in range(5):
        errors.clear()
        Segment.objects.get(key="a").save()
        threads = [threading.Thread(target=save, args=pair) for pair in (("a", "b"), ("b", "a"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert len(errors) == 1, errors
        assert "use each other" in errors[0]
        for segment in Segment.objects.filter(key__in=["a", "b"]):
            segment.rules = []
            segment.save()
