"""A confirmation holds for exactly what one person was shown."""

from __future__ import annotations

import datetime

import pytest
from django.core import signing
from django.utils import timezone

from featureflags.editing import Examination, are_confirmed, confirmation, sign
from featureflags.launchdarkly import client
from featureflags.models import Segment
from featureflags.models.changesets import MemberState
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.editing.changing import PRO, TEAM, change, deletion, membership, people
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> FlagFile:
    """LaunchDarkly is there, and has no flags unless a test adds some."""
    return flag_file


@pytest.fixture
def segment() -> Segment:
    return SegmentFactory.create(key="beta", rules=PRO)


@pytest.fixture
def actor() -> User:
    return UserFactory.create()


@pytest.fixture
def asked(segment: Segment) -> Examination:
    people(5, plan="team")
    return change(segment, rules=TEAM)


def test_it_holds_for_what_was_shown(asked: Examination, actor: User, segment: Segment) -> None:
    token = sign([asked], actor)
    assert are_confirmed([asked], token, actor)
    assert are_confirmed([change(segment, rules=TEAM)], token, actor)


def test_it_holds_for_nothing_else(asked: Examination, actor: User, segment: Segment) -> None:
    token = sign([asked], actor)
    assert not are_confirmed([asked], token, UserFactory.create())
    assert not are_confirmed([asked, asked], token, actor)
    assert not are_confirmed([], token, actor)
    for nonsense in ("", "x", token[:-1], signing.dumps("x", salt="other")):
        assert not are_confirmed([asked], nonsense, actor)
    assert not are_confirmed([change(segment, rules=[*TEAM, *PRO])], token, actor)
    assert not are_confirmed([change(segment, rules=TEAM, is_active=False)], token, actor)
    assert not are_confirmed([deletion(segment)], token, actor)


def test_not_once_somebody_has_saved(asked: Examination, actor: User, segment: Segment) -> None:
    token = sign([asked], actor)
    stored = Segment.objects.get(pk=segment.pk)
    stored.name = "Other"
    stored.save()
    assert not are_confirmed([change(segment, rules=TEAM)], token, actor)


def test_not_once_more_users_move(asked: Examination, actor: User, segment: Segment) -> None:
    token = sign([asked], actor)
    people(1, plan="team")
    assert not are_confirmed([change(segment, rules=TEAM)], token, actor)


def test_one_in_a_hundred_may_have_signed_up_meanwhile(actor: User, segment: Segment) -> None:
    people(200, plan="team")
    token = sign([change(segment, rules=TEAM)], actor)
    people(2, plan="team")
    assert are_confirmed([change(segment, rules=TEAM)], token, actor)
    people(1, plan="team")
    assert not are_confirmed([change(segment, rules=TEAM)], token, actor)


def test_not_once_a_flag_targets_it(
    asked: Examination, actor: User, segment: Segment, flag_file: FlagFile
) -> None:
    token = sign([asked], actor)
    flag_file(boolean_flag("checkout", rules=[segment_rule("beta")]))
    client.close()
    assert not are_confirmed([change(segment, rules=TEAM)], token, actor)


def test_other_members_are_another_change(segment: Segment, actor: User) -> None:
    one, two = people(2)
    token = sign([membership(segment, one)], actor)
    assert are_confirmed([membership(segment, one)], token, actor)
    assert not are_confirmed([membership(segment, two)], token, actor)
    soon = timezone.now() + datetime.timedelta(days=1)
    ending = MemberState(kind="include", reason="", expires_at=soon)
    assert not are_confirmed([membership(segment, one, state=ending)], token, actor)


def test_it_expires_after_a_day(
    asked: Examination, actor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign([asked], actor)
    monkeypatch.setattr(confirmation, "HOLDS_SECONDS", -1)
    assert not are_confirmed([asked], token, actor)
