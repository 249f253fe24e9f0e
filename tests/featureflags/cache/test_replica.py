"""A replica that lags behind: what it says is never kept as fresh. On a real standby, by streaming replication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from featureflags.cache import protocol
from featureflags.cache.compiled_rules import forget_loaded
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.standby import Standby
from users.models import User

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db(transaction=True)]

REPLICA = "replica"


class ReadsFromReplica:
    """A database router, as a project with a replica has one."""

    def db_for_read(self, _model: object, **_hints: object) -> str:
        return REPLICA

    def db_for_write(self, _model: object, **_hints: object) -> str:
        return "default"

    def allow_relation(self, *_objects: object, **_hints: object) -> bool:
        return True


@pytest.fixture
def standby(standbys: Callable[[], Standby]) -> Standby:
    return standbys()


@pytest.fixture
def lagging(standby: Standby, settings: Settings) -> Iterator[User]:
    """A user who has changed on the primary; Django reads from the replica, which does not know."""
    user = UserFactory.create(name="Old")
    Segment.objects.all().delete()
    SegmentFactory.create(key="members", rules=[rule(clause("role", "in", "user"))])
    standby.fall_behind()
    with standby.as_alias(REPLICA):
        settings.DATABASE_ROUTERS = [ReadsFromReplica()]
        User.objects.filter(pk=user.pk).update(name="New")
        # A process that has read nothing yet.
        forget_loaded()
        yield user


def kept_name(user: User) -> str | None:
    """What the cache has as fresh."""
    snapshot: Any = protocol.read([str(user.pk)]).fresh.get(str(user.pk))
    return None if snapshot is None else snapshot.name


def test_a_check_by_key_reads_the_primary(lagging: User) -> None:
    assert User.objects.get(pk=lagging.pk).name == "Old"
    first, second = resolve(str(lagging.pk)), resolve(str(lagging.pk))
    assert [each.context.get("name") for each in (first, second)] == ["New", "New"]
    assert [each.source for each in (first, second)] == [
        ContextSource.DATABASE,
        ContextSource.CACHE,
    ]
    assert not first.degraded
    assert first.segments == ("members",)


def test_a_batch_reads_the_primary(lagging: User) -> None:
    other = str(UserFactory.create(name="Other").pk)
    found = contexts_for([str(lagging.pk), other])
    assert {each.context.get("name") for each in found.values()} == {"New", "Other"}
    assert kept_name(lagging) == "New"


def test_rules_come_from_the_primary(lagging: User) -> None:
    SegmentFactory.create(key="late", rules=[rule(clause("role", "in", "user"))])
    assert not Segment.objects.filter(key="late").exists()
    assert resolve(str(lagging.pk)).segments == ("late", "members")


def test_a_row_that_a_request_has_loaded_from_the_replica_is_not_kept(lagging: User) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.get(pk=lagging.pk)
    with unit_of_work(request):
        found = resolve(None, request=request)
    # The request has loaded the row itself: that is the one whom its page shows.
    assert (found.context.get("name"), found.source) == ("Old", ContextSource.LOADED)
    assert kept_name(lagging) == "New"


def test_a_change_of_a_related_row_is_seen(lagging: User) -> None:
    assert resolve(str(lagging.pk)).context.get("groups") == []
    group = Group(name="testers")
    group.save(using="default")
    User.objects.using("default").get(pk=lagging.pk).groups.add(group)
    assert resolve(str(lagging.pk)).context.get("groups") == ["testers"]


def test_a_process_whose_database_is_the_replica_keeps_nothing(standby: Standby) -> None:
    user = UserFactory.create(name="Old")
    standby.fall_behind()
    User.objects.filter(pk=user.pk).update(name="New")
    with standby.as_default():
        found = resolve(str(user.pk))
        assert (found.context.get("name"), found.source) == ("Old", ContextSource.DATABASE)
        assert protocol.read([str(user.pk)]).failed
    assert kept_name(user) is None
    assert resolve(str(user.pk)).context.get("name") == "New"
