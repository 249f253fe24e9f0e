"""Two processes: what one has written, the next unit of work of the other sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group

from featureflags.cache.snapshot_store import VERSION_SECONDS
from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.cache.probing import Probe
from tests.profiles import DEEP
from tests.services.waiting import PATIENCE_SECONDS, wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = 1_000 if DEEP else 100
"""Writes. `make test-deep` makes a thousand; each costs two round trips to another process."""

SECONDS = PATIENCE_SECONDS


@pytest.fixture
def other(transactional_db: None) -> Iterator[Probe]:
    with Probe() as probe:
        yield probe


def test_the_unit_after_each_write_sees_it(other: Probe) -> None:
    user = UserFactory.create()
    key = str(user.pk)
    segment = SegmentFactory.create(key="chosen")
    rules = {
        role: [rule(clause("role", "in", role))]  # who has the role is in the segment
        for role in ("user", "admin")
    }
    wrong = []
    for number in range(TIMES // 2):
        role = ("admin", "user")[number % 2]
        User.objects.filter(pk=key).update(role=role)
        if other.do("ask", key)["role"] != role:
            wrong.append(f"write {number} of the user")
        segment.rules = rules[("user", "admin")[number // 2 % 2]]
        segment.save()
        expected = segment.rules == rules[role]
        if ("chosen" in other.do("ask", key)["segments"]) != expected:
            wrong.append(f"write {number} of the segment")
    assert wrong == []


def test_what_the_cache_holds_is_used(other: Probe) -> None:
    """Without this the test above would say nothing about the cache."""
    key = str(UserFactory.create().pk)
    assert other.do("ask", key)["source"] == "database"
    assert other.do("ask", key)["source"] == "cache"
    User.objects.filter(pk=key).update(role="admin")
    assert other.do("ask", key)["source"] == "database"
    assert other.do("ask", key)["source"] == "cache"


def test_a_renamed_group_is_seen(other: Probe) -> None:
    user = UserFactory.create()
    user.groups.add(Group.objects.create(name="writers"))
    assert other.do("ask", str(user.pk))["groups"] == ["writers"]
    Group.objects.filter(name="writers").update(name="authors")
    assert other.do("ask", str(user.pk))["groups"] == ["authors"]


class TestKilledBehindTheCommit:
    """A process that dies right after its commit: the others see the write once they renew the
    ruleset version, which lives for four seconds. How fast this machine is does not matter."""

    def test_the_version_ends_within_the_five_seconds_that_are_promised(self) -> None:
        assert VERSION_SECONDS < 5

    @pytest.fixture
    def key(self, other: Probe) -> str:
        user = UserFactory.create()
        SegmentFactory.create(key="chosen")
        key = str(user.pk)
        other.do("ask", key)
        assert other.do("ask", key)["source"] == "cache"
        return key

    def test_a_user(self, other: Probe, key: str) -> None:
        with Probe() as writer:
            writer.dies("die_behind_commit", "set_role", key, "admin")
        wait_until(lambda: other.do("ask", key)["role"] == "admin", what="the new role")

    def test_a_user_behind_a_long_transaction(self, other: Probe, key: str) -> None:
        """A reader stores the old row again before the commit."""
        old = other.do("ask", key)
        with Probe() as writer:
            writer.send("die_behind_a_long_transaction", 2, "set_role", key, "admin")
            assert other.do("ask", key) == old
            writer.has_died()
        wait_until(
            lambda: other.do("ask", key)["role"] == "admin", timeout=SECONDS, what="the new role"
        )
        assert not other.do("pending")

    def test_a_deleted_user(self, other: Probe, key: str) -> None:
        with Probe() as writer:
            writer.dies("die_behind_commit", "delete", key)
        wait_until(lambda: other.do("ask", key)["role"] is None, what="the end of the user")

    def test_a_member(self, other: Probe, key: str) -> None:
        with Probe() as writer:
            writer.dies("die_behind_commit", "add_member", "chosen", key)
        wait_until(lambda: "chosen" in other.do("ask", key)["segments"], what="the new member")

    def test_a_segment(self, other: Probe, key: str) -> None:
        everybody = [rule(clause("role", "in", "user"))]
        with Probe() as writer:
            writer.dies("die_behind_commit", "edit_segment", "chosen", "Chosen", everybody)
        wait_until(lambda: "chosen" in other.do("ask", key)["segments"], what="the new rules")
        assert Segment.objects.get(key="chosen").rules == everybody
