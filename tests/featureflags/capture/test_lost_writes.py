"""Writes that were once lost: each of these left an old answer for a day, or a wrong warning."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet

from featureflags.cache import protocol, snapshot_store
from featureflags.capture import without_triggers
from featureflags.evaluation.resolve import resolve
from featureflags.models import OutboxEvent, Segment
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def elsewhere(sql: str) -> None:
    """Execute it on a connection of its own, committed."""

    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def name_of(user: User) -> object:
    return resolve(str(user.pk)).context.get("name")


def test_a_row_that_begins_to_match_just_before_the_update_is_removed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = UserFactory.create(role="admin", name="Before")
    assert name_of(user) == "Before"
    update = QuerySet.update

    def and_somebody_else_commits(queryset: Any, **values: Any) -> int:
        elsewhere("UPDATE users_user SET role = 'user'")
        assert name_of(user) == "Before", "cached again, between the two"
        return update(queryset, **values)

    monkeypatch.setattr(QuerySet, "update", and_somebody_else_commits)
    User.objects.filter(role="user").update(name="After")

    assert name_of(user) == "After"


def test_loaddata_of_a_segment_is_seen_by_a_running_process() -> None:
    user = UserFactory.create(role="user")
    segment = SegmentFactory.create(key="late")
    assert "late" not in resolve(user).segments
    segment.rules = [rule(clause("role", "in", "user"))]

    for found in serializers.deserialize("json", serializers.serialize("json", [segment])):
        found.save()

    assert "late" in resolve(user).segments


def test_a_write_of_another_program_is_seen_with_the_next_version() -> None:
    user = UserFactory.create(name="Before")
    assert name_of(user) == "Before"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featureflags.capture.own_writes._committed", [])
        elsewhere("UPDATE users_user SET name = 'After'")
    # As after the four seconds that a version lives.
    snapshot_store.remove_version()

    assert name_of(user) == "After"
    assert not undelivered()


def test_saving_a_group_leaves_no_row_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    user = UserFactory.create()
    group = Group.objects.create(name="writers")
    user.groups.add(group)
    resolve(str(user.pk))
    caplog.clear()
    caplog.set_level(logging.WARNING, "featureflags")

    group.name = "authors"
    group.save()
    protocol.read([])

    assert not undelivered()
    assert caplog.records == []
    assert resolve(str(user.pk)).context.get("groups") == ["authors"]


def test_a_refused_segment_costs_later_units_nothing(django_assert_num_queries: Any) -> None:
    user = UserFactory.create()
    resolve(str(user.pk))
    with pytest.raises(ValidationError):
        Segment(key="broken", name="Broken", rules=[{"clauses": [{"op": "none"}]}]).save()
    with transaction.atomic():
        SegmentFactory.create(key="undone")
        transaction.set_rollback(True)

    with django_assert_num_queries(0):
        for _ in range(200):
            resolve(str(user.pk))


class TestWithoutTriggers:
    """What is left where an application may create none: Django's own signals."""

    @pytest.fixture(autouse=True)
    def signals(self) -> Any:
        without_triggers.connect()
        yield
        without_triggers.disconnect()

    @pytest.mark.parametrize("write", ["save", "delete", "groups", "group", "clear"])
    def test_signals_name_the_changed_user(self, write: str) -> None:
        user = UserFactory.create(name="Before")
        group = Group.objects.create(name="writers")
        user.groups.add(group)
        OutboxEvent.objects.all().delete()
        with pytest.MonkeyPatch.context() as patch:
            notified: list[tuple[str, list[str]]] = []
            patch.setattr(
                without_triggers, "touched", lambda kind, keys: notified.append((kind, list(keys)))
            )
            key = str(user.pk)
            if write == "save":
                user.save()
            elif write == "delete":
                user.delete()
            elif write == "groups":
                user.groups.remove(group)
            elif write == "clear":
                group.user_set.clear()
            else:
                group.save()
        assert ("user", [key]) in notified

    def test_touched_notifies_the_cache_after_the_commit(self) -> None:
        user = UserFactory.create()
        resolve(str(user.pk))
        with transaction.atomic():
            without_triggers.touched("user", [str(user.pk)])
            assert undelivered()
        assert protocol.read([str(user.pk)]).fresh == {}
        assert not undelivered()
