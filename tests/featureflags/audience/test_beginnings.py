"""A membership that has not begun: out in memory and in SQL, and then in, by the clock alone."""

from __future__ import annotations

import datetime

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from featureflags.audience import next_transitions
from featureflags.audience.sizes import segment_sizes
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds, to_microseconds
from featureflags.editing import export_segments, import_segments
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.registry import user_kind
from featureflags.models import SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory, user_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def member() -> SegmentMember:
    soon = timezone.now() + datetime.timedelta(days=1)
    return SegmentMemberFactory.create(segment=SegmentFactory.create(key="beta"), starts_at=soon)


def begin(member: SegmentMember) -> None:
    member.starts_at = timezone.now()
    member.save()


def test_a_check_a_count_and_the_page_agree(member: SegmentMember) -> None:
    user = user_of(member)

    def size() -> int:
        ruleset = current_ruleset().ruleset
        now = now_in_microseconds()
        (found,) = segment_sizes(now=now, ruleset=ruleset, keys=["beta"]).sizes
        listed = type(user).objects.in_segment("beta").count()
        inside = "beta" in ruleset.match(attributes_of(user_kind().snapshot_of(user), now), now=now)
        assert found.at_least == found.at_most == listed == int(inside)
        return listed

    assert size() == 0
    begin(member)
    assert size() == 1


def test_the_context_holds_until_it_begins(member: SegmentMember) -> None:
    context = resolve(user_of(member))
    assert "beta" not in context.segments
    assert context.valid_until is not None
    assert member.starts_at is not None
    assert context.valid_until <= to_microseconds(member.starts_at)


def test_it_is_foreseen_with_its_cause(member: SegmentMember) -> None:
    snapshot = user_kind().snapshot_of(user_of(member))
    now = now_in_microseconds()
    (found,) = next_transitions(current_ruleset().ruleset, snapshot, now=now, segment_keys=["beta"])
    assert member.starts_at is not None
    assert (found.at, found.entering, found.beginning, found.memberships) == (
        to_microseconds(member.starts_at),
        ("beta",),
        ("beta",),
        (),
    )


def test_an_export_is_read_back(member: SegmentMember) -> None:
    document = export_segments(["beta"], native=True)
    assert import_segments(document) == []
    member.delete()
    import_segments(document)
    assert SegmentMember.objects.get().starts_at == member.starts_at


def test_the_end_comes_after_the_beginning(member: SegmentMember) -> None:
    member.expires_at = member.starts_at
    with pytest.raises(ValidationError, match="later than the beginning"):
        member.save()
