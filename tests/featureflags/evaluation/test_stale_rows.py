"""Writes are based on the rows in the database, not on what django-cachalot still holds."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.models import Segment, SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.racing import committed_while_read

pytestmark = pytest.mark.django_db(transaction=True)

SEGMENTS, MEMBERS = "featureflags_segment", "featureflags_segmentmember"


def test_a_form_shows_the_rules_that_are_stored(client: Client) -> None:
    client.force_login(UserFactory.create(superuser=True))
    segment = SegmentFactory.create(rules=[rule(clause("role", "in", "user"))])
    page = reverse("admin:featureflags_segment_change", args=[segment.pk])
    segment.rules = [rule(clause("role", "in", "system"))]
    with committed_while_read(SEGMENTS, segment.save):
        client.get(page)
    shown = client.get(page).context["adminform"].form.initial["rules"]
    assert shown == Segment.objects.get(key=segment.key).rules == segment.rules


def test_a_segment_that_is_no_longer_full_takes_members(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 1}
    old = SegmentMemberFactory.create()
    other = SegmentMember(segment=old.segment, user=UserFactory.create())
    gone = SegmentMember.objects.get(pk=old.pk).delete
    with committed_while_read(MEMBERS, gone), pytest.raises(ValidationError, match="at most 1"):
        other.clean()
    with pytest.raises(ValidationError, match="at most 1"):
        other.clean()
    other.save()
    assert SegmentMember.objects.get().user == other.user
