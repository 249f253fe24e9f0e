"""What django-cachalot keeps of the segment tables never reaches the compiled rules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import ProtectedError

from featureflags import receivers
from featureflags.cache import compiled_rules
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.models import Segment
from featureflags.models.versions import RulesetVersion
from tests.factories import SegmentFactory, SegmentMemberFactory, clause, rule
from tests.featureflags.cache.rule_reads import ROLE_USER, matches
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def deleted_while_read(key: str) -> Iterator[None]:
    """A write that commits while a reader of the segments still holds the old rows."""

    def delete() -> None:
        Segment.objects.filter(key=key).delete()
        connection.close()

    def write_before_the_reader_is_done(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if 'FROM "featureflags_segment"' in sql:
            writer = threading.Thread(target=delete)
            writer.start()
            writer.join(timeout=30)
        return result

    with connection.execute_wrapper(write_before_the_reader_is_done):
        yield


def test_old_rows_in_cachalot_do_not_reach_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    # What follows a commit needs the lock that the reader holds: it is the work of another process.
    monkeypatch.setattr(receivers, "publish", lambda *_arguments: True)
    for key in ("raced-in-a-list", "raced-in-the-rules"):
        SegmentFactory.create(key=key, rules=ROLE_USER)
    keys = Segment.objects.order_by("key").values_list("key", flat=True)
    with deleted_while_read("raced-in-a-list"):
        assert "raced-in-a-list" in keys.all()
    assert "raced-in-a-list" in keys.all(), "cachalot keeps what is gone: the race has happened"
    compiled_rules.forget_loaded()
    with deleted_while_read("raced-in-the-rules"):
        current_ruleset()
    compiled_rules.forget_loaded()
    assert not matches("raced-in-a-list")
    assert not matches("raced-in-the-rules")


@contextmanager
def saved_while_read(key: str, rules: list[dict[str, Any]]) -> Iterator[None]:
    """A save of `key` that commits while a reader of the segments still holds the old rows."""

    def save() -> None:
        segment = Segment.objects.get(key=key)
        segment.rules = rules
        segment.save()
        connection.close()

    done: list[bool] = []

    def write_before_the_reader_is_done(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if 'FROM "featureflags_segment"' in sql and not done:
            done.append(True)
            writer = threading.Thread(target=save)
            writer.start()
            writer.join(timeout=30)
        return result

    with connection.execute_wrapper(write_before_the_reader_is_done):
        yield


def test_old_rows_in_cachalot_do_not_hide_a_cycle() -> None:
    first, second = (SegmentFactory.create(key=key) for key in ("a", "b"))
    others = Segment.objects.exclude(pk=first.pk).values_list("key", "rules")
    with saved_while_read("b", [rule(clause("", "segmentMatch", "a"))]):
        list(others.all())
    assert ("b", second.rules) in list(others.all()), "cachalot keeps the old rules of b"
    first.rules = [rule(clause("", "segmentMatch", "b"))]
    with pytest.raises(ValidationError, match="use each other"):
        first.save()


def test_old_rows_in_cachalot_do_not_hide_who_rests_on_a_segment() -> None:
    base = SegmentFactory.create(key="a")
    SegmentFactory.create(key="b")
    everybody = Segment.objects.values_list("key", "rules")
    with saved_while_read("b", [rule(clause("", "segmentMatch", "a"))]):
        list(everybody.all())
    with pytest.raises(ProtectedError):
        base.delete()


def test_old_rows_in_cachalot_do_not_keep_a_segment_s_version() -> None:
    """Rules of the same version are not compiled again."""
    segment = SegmentFactory.create(key="a")
    versions = Segment.objects.filter(pk=segment.pk).values_list("version", flat=True)
    with saved_while_read("a", ROLE_USER):
        versions.first()
    assert matches("a")
    segment.rules = []
    segment.save()
    assert segment.version == 3
    assert not matches("a")


def test_cachalot_serves_the_list_queries_of_the_segment_tables_alone(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    SegmentMemberFactory.create()
    list(Segment.objects.all())
    with django_assert_num_queries(0):
        list(Segment.objects.all())
    RulesetVersion.objects.first()
    with django_assert_num_queries(1):
        RulesetVersion.objects.first()
    list(User.objects.all())
    with django_assert_num_queries(1):
        list(User.objects.all())


def test_cachalot_forgets_within_five_seconds_and_has_a_cache_of_its_own() -> None:
    assert settings.CACHALOT_TIMEOUT < 5
    others = {"default", settings.FEATUREFLAGS["CACHE"]}
    assert settings.CACHALOT_CACHE in set(settings.CACHES) - others
