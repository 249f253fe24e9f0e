"""Contexts that the process has computed: used only where computing would give the same."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group
from pytest_django.fixtures import Settings

from featureflags.cache import context_memo
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.times import to_microseconds
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.registry import user_kind
from featureflags.segments.ruleset import Ruleset
from tests.clock import Clock
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from users.models import User

pytestmark = pytest.mark.django_db


def in_a_unit(subject: User | str) -> SubjectContext:
    with unit_of_work():
        return resolve(subject)


def attributes(subject: User | str) -> dict[str, Any]:
    found: dict[str, Any] = in_a_unit(subject).to_dict()["attributes"]
    return found


def test_the_next_unit_need_not_compute(user: User) -> None:
    first = in_a_unit(user)
    assert in_a_unit(user) is first
    assert in_a_unit(user).source is ContextSource.LOADED


@pytest.mark.django_db(transaction=True)
def test_who_is_asked_for_by_id_is_the_same_user_from_elsewhere(user: User) -> None:
    loaded = in_a_unit(user)
    in_a_unit(str(user.pk))
    cached = in_a_unit(str(user.pk))
    assert cached.source is ContextSource.CACHE
    assert cached.context is loaded.context


@pytest.mark.parametrize(
    ("before", "after"),
    [(True, 1), (1, True), (1, 1.0), (0, False), ("1", 1), ([1], [True]), ({"a": 0}, {"a": False})],
)
def test_values_that_python_calls_equal_are_not_the_same(before: object, after: object) -> None:
    user = UserFactory.create(metadata={"plan": before})
    assert type(attributes(user)["custom_plan"]) is type(before)
    user.metadata = {"plan": after}
    found = attributes(user)["custom_plan"]
    assert repr(found) == repr(after)


def test_metadata_that_is_changed_in_place_is_seen(user: User) -> None:
    user.metadata = {"plan": {"list": [1]}}
    assert attributes(user)["custom_plan"] == {"list": [1]}
    user.metadata["plan"]["list"].append(2)
    assert attributes(user)["custom_plan"] == {"list": [1, 2]}


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"email": "new@example.org"}, "email"),
        ({"email_verified": False}, "email_verified"),
        ({"name": "New"}, "name"),
        ({"role": "admin"}, "role"),
        ({"is_staff": True}, "is_staff"),
        ({"created_at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)}, "created_at"),
        ({"metadata": {}}, "custom_plan"),
    ],
)
def test_each_field_is_compared(change: dict[str, Any], attribute: str) -> None:
    user = UserFactory.create(email_verified=True, metadata={"plan": "pro"})
    before = attributes(user)
    for name, value in change.items():
        setattr(user, name, value)
    assert attributes(user).get(attribute) != before[attribute]


def test_so_are_groups(user: User) -> None:
    assert attributes(str(user.pk))["groups"] == []
    user.groups.add(Group.objects.create(name="staff"))
    assert attributes(str(user.pk))["groups"] == ["staff"]


def test_another_ruleset_computes_anew(user: User) -> None:
    segment = SegmentFactory.create(key="named", rules=[rule(clause("name", "in", user.name))])
    assert "named" in in_a_unit(user).segments
    segment.rules = [rule(clause("name", "in", "nobody"))]
    segment.save()
    assert "named" not in in_a_unit(user).segments


def test_nothing_outlives_the_instant_at_which_it_changes(clock: Clock) -> None:
    soon = clock.now + datetime.timedelta(minutes=1)
    user = UserFactory.create(created_at=soon - datetime.timedelta(days=1))
    SegmentMemberFactory.create(user=user, segment__key="trial", expires_at=soon)
    clock.set(to_microseconds(soon) - 1)
    first = in_a_unit(user)
    assert "trial" in first.segments
    assert first.to_dict()["attributes"]["account_age_days"] == 0
    clock.set(soon)
    second = in_a_unit(user)
    assert "trial" not in second.segments
    assert second.to_dict()["attributes"]["account_age_days"] == 1


def test_other_settings_compute_anew(user: User, settings: Settings) -> None:
    assert "segment" in attributes(user)
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SEGMENTS_AS": "list"}
    assert "segment" not in attributes(user)


def test_what_is_degraded_is_tried_again(user: User, settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
    user.metadata = {"x": object()}
    first = in_a_unit(user)
    assert first.degraded == (Degradation.ATTRIBUTE_DROPPED,)
    assert in_a_unit(user) is not first


def test_what_is_no_json_is_not_even_compared(user: User, settings: Settings) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]

    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
    for value in (Odd(), [Odd()], {"x": Odd()}):
        user.metadata = {"x": "text"}
        assert in_a_unit(user).degraded == ()
        user.metadata = {"x": value}
        assert in_a_unit(user).degraded == (Degradation.ATTRIBUTE_DROPPED,)


def test_a_batch_pushes_nobody_out(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_memo, "MOST", 2)
    first = in_a_unit(user)
    others = [str(UserFactory.create().pk) for _ in range(4)]
    for _ in range(2):
        with unit_of_work():
            contexts_for(others)
    assert in_a_unit(user) is first


def test_there_is_an_end_to_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_memo, "MOST", 2)
    users = [UserFactory.create() for _ in range(5)]
    ruleset = current_ruleset().ruleset
    for user in users:
        in_a_unit(user)
    assert sum(
        context_memo.recall(user_kind().snapshot_of(user), ruleset) is not None for user in users
    ) in {
        1,
        2,
    }


def test_rules_that_are_in_force_no_more_are_let_go(user: User) -> None:
    context = in_a_unit(user)
    snapshot, old, new = user_kind().snapshot_of(user), current_ruleset().ruleset, Ruleset(())
    context_memo.keep(snapshot, new, context)
    assert context_memo.recall(snapshot, old) is None
    assert context_memo.recall(snapshot, new) is context


@pytest.fixture
def user() -> User:
    return UserFactory.create()


@pytest.fixture(autouse=True)
def nothing_computed() -> None:
    context_memo.forget()
