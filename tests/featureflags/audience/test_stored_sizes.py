"""Stored sizes: counted by the hour, and after each write to rules or members, never by a page."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from featureflags.audience import stored_sizes
from featureflags.audience.sizes import segment_sizes
from featureflags.audience.sql.statement_timeout import TimeIsUp
from featureflags.audience.stored_sizes import (
    count_changed,
    count_everything,
    daily_counts,
    fingerprint,
)
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.management.due_tasks import scheduled_tasks
from featureflags.models import Segment, SegmentCount, SegmentMember, SegmentSize, UserCount
from featureflags.tasks import count_segments
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.audience.sized import GERMANS, german, size

# SQL cannot read this expression: Python finishes the count.
IN_DOUBT = [rule(clause("name", "matches", "^A(?i)da$"))]


@pytest.mark.django_db
class TestCounting:
    def test_all_segments_and_users(self) -> None:
        SegmentFactory.create(key="germans", rules=GERMANS)
        german(last_seen_at=timezone.now() - datetime.timedelta(hours=2))
        german(last_seen_at=timezone.now() - datetime.timedelta(days=3))
        UserFactory.create(last_seen_at=timezone.now() - datetime.timedelta(days=20))
        UserFactory.create(last_seen_at=timezone.now(), is_active=False)
        result = count_segments.delay().get()
        assert "germans" in result["segments"]
        found = SegmentSize.objects.get(segment__key="germans")
        assert (found.at_least, found.at_most, found.users, str(found)) == (2, 2, 4, "2")
        assert size("user") == 4
        assert not found.is_outdated
        users = UserCount.objects.get()
        assert (users.users, users.seen_today) == (4, 1)
        assert (users.seen_within_7_days, users.seen_within_30_days) == (2, 3)
        assert users.day == timezone.localdate()

    def test_the_last_count_of_a_day_is_kept(self) -> None:
        SegmentFactory.create(key="germans", rules=GERMANS)
        count_everything()
        german()
        count_everything()
        [row] = daily_counts(["germans"])["germans"]
        assert (row.day, row.at_least) == (timezone.localdate(), 1)
        assert UserCount.objects.get().users == 1

    def test_users_for_whom_sql_cannot_decide_are_counted_too(self) -> None:
        SegmentFactory.create(key="adas", rules=IN_DOUBT)
        UserFactory.create(name="Ada")
        UserFactory.create(name="Bob")
        assert current_ruleset().ruleset.definitions["adas"].rules
        count_everything()
        found = SegmentSize.objects.get(segment__key="adas")
        assert found.is_exact

    def test_days_that_are_too_old_are_forgotten(self) -> None:
        today = timezone.localdate()
        for days in (1, 90, 91):
            day = today - datetime.timedelta(days=days)
            SegmentCount.objects.create(segment_key="user", day=day, at_least=1, at_most=1)
            UserCount.objects.create(
                day=day,
                users=1,
                seen_today=0,
                seen_within_7_days=0,
                seen_within_30_days=0,
                counted_at=timezone.now(),
            )
        count_everything()
        kept = {today, today - datetime.timedelta(days=1), today - datetime.timedelta(days=90)}
        assert (
            set(SegmentCount.objects.filter(segment_key="user").values_list("day", flat=True))
            == kept
        )
        assert set(UserCount.objects.values_list("day", flat=True)) == kept

    def test_it_is_in_the_schedule(self) -> None:
        [task] = [each for each in scheduled_tasks() if each.task == count_segments.name]
        assert task.is_due(timezone.now() - datetime.timedelta(hours=1))


@pytest.mark.django_db
class TestWhatHasChanged:
    def test_the_segment_and_those_that_use_it(self) -> None:
        germans = SegmentFactory.create(key="germans", rules=GERMANS)
        SegmentFactory.create(key="payers", rules=[rule(clause("", "segmentMatch", "germans"))])
        count_everything()
        assert count_changed().segments == ()
        germans.rules = [rule(clause("custom_country", "in", "DE", "AT"))]
        germans.save()
        assert count_changed().segments == ("germans", "payers")
        assert count_changed().segments == ()

    @pytest.mark.parametrize(
        "write",
        [
            lambda segment, user: SegmentMemberFactory.create(segment=segment, user=user),
            lambda segment, user: SegmentMember.objects.bulk_create(
                [SegmentMember(segment=segment, user=user)]
            ),
            lambda segment, user: Segment.objects.filter(pk=segment.pk).update(is_active=False),
        ],
    )
    def test_whichever_way_it_is_written(self, write: Callable[[Segment, object], object]) -> None:
        segment = SegmentFactory.create(key="germans", rules=GERMANS)
        count_everything()
        write(segment, UserFactory.create())
        assert count_changed().segments == ("germans",)

    def test_a_new_name_changes_nothing(self) -> None:
        segment = SegmentFactory.create(key="germans", rules=GERMANS)
        count_everything()
        segment.name = "Germany"
        segment.save()
        assert count_changed().segments == ()

    def test_a_fingerprint_is_the_same_in_every_process(self) -> None:
        SegmentFactory.create(key="germans", rules=GERMANS)
        before = fingerprint(current_ruleset().ruleset, "germans")
        assert len(before) == 64
        assert fingerprint(current_ruleset().ruleset, "user") != before

    def test_where_time_is_up_the_size_is_marked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        segment = SegmentFactory.create(key="germans", rules=GERMANS)
        german()
        count_everything()
        segment.rules = []
        segment.save()

        def late(**_options: object) -> None:
            raise TimeIsUp

        with monkeypatch.context() as patch:
            patch.setattr(stored_sizes, "segment_sizes", late)
            counted = count_changed(0.1)
        assert (counted.segments, counted.late) == ((), ("germans",))
        found = SegmentSize.objects.get(segment__key="germans")
        assert (found.at_least, found.is_outdated) == (1, True)
        assert count_changed().segments == ("germans",)
        assert size("germans") == 0

    def test_with_a_time_limit_it_may_be_between_two_bounds(self) -> None:
        SegmentFactory.create(key="adas", rules=[rule(clause("custom_v", "semVerEqual", "1.0"))])
        UserFactory.create(metadata={"v": "1"})
        counted = count_changed(30)
        assert "adas" in counted.segments
        found = SegmentSize.objects.get(segment__key="adas")
        assert found.at_least <= 1 <= found.at_most

    def test_who_stores_an_older_number_last_looks_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While one counts, another saves and counts: the first one stores its number last."""
        segment = SegmentFactory.create(key="germans")
        german()
        raced: list[None] = []

        def slow(**options: Any) -> object:
            found = segment_sizes(**options)
            if not raced:
                raced.append(None)
                segment.rules = GERMANS
                segment.save()
                count_changed()
                assert size("germans") == 1
            return found

        monkeypatch.setattr(stored_sizes, "segment_sizes", slow)
        count_changed()
        assert raced
        assert size("germans") == 1
        assert count_changed().segments == ()

    def test_a_segment_that_is_gone_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        SegmentFactory.create(key="germans", rules=GERMANS)

        def counted_too_late(**options: object) -> object:
            found = segment_sizes(**options)  # type: ignore[arg-type]
            Segment.objects.filter(key="germans").delete()
            return found

        monkeypatch.setattr(stored_sizes, "segment_sizes", counted_too_late)
        count_everything()
        assert size("germans") is None
        assert not SegmentCount.objects.filter(segment_key="germans").exists()


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_a_segment_that_is_deleted_while_sizes_are_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PostgreSQL says so only when the writer commits."""
    SegmentFactory.create(key="germans", rules=GERMANS)
    # Existing rows would make the delete wait for the count.
    SegmentSize.objects.filter(segment__key="germans").delete()
    SegmentCount.objects.filter(segment_key="germans").delete()
    store_once = stored_sizes._store_once
    raced: list[None] = []

    def raced_once(*args: Any) -> None:
        store_once(*args)
        if not raced:
            raced.append(None)
            thread = threading.Thread(target=delete)
            thread.start()
            thread.join()

    def delete() -> None:
        Segment.objects.get(key="germans").delete()
        connections.close_all()

    monkeypatch.setattr(stored_sizes, "_store_once", raced_once)
    count_everything()
    assert raced
    assert size("germans") is None
    assert size("user") == 0


@pytest.mark.django_db
def test_a_segment_takes_its_counts_along() -> None:
    segment = SegmentFactory.create(key="germans", rules=GERMANS)
    count_everything()
    segment.delete()
    assert not SegmentCount.objects.filter(segment_key="germans").exists()
    assert size("germans") is None
