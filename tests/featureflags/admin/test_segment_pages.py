"""What the pages of segments show, to whom, and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from featureflags.admin.segments.columns import in_words
from featureflags.models import Segment
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.admin.segment_forms import ADD, GERMANS, LIST, change, form
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db


def test_the_page_shows_the_flags_that_target_the_segment(
    staff: Client, flag_file: Callable[..., Path]
) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("germans")]))
    page = staff.get(change(SegmentFactory.create(key="germans"))).content.decode()
    assert "<strong>internal-tools</strong>" in page
    page = staff.get(change(SegmentFactory.create(key="others"))).content.decode()
    assert "<strong>internal-tools</strong>" not in page
    assert "No flag targets it." in page


def test_the_list_shows_rules_in_words_and_the_number_of_members(staff: Client) -> None:
    segment = SegmentFactory.create(key="germans", rules=GERMANS)
    SegmentMemberFactory.create_batch(3, segment=segment)
    page = staff.get(LIST, {"q": "germans"}).content.decode()
    assert "country is any of &quot;DE&quot;" in page
    link = reverse("admin:featureflags_segment_by_name", args=["germans"])
    assert f'<a href="{link}">3</a>' in page
    assert f'<a href="{link}">Members by name</a>' in staff.get(change(segment)).content.decode()


def test_rules_in_words() -> None:
    two = rule(clause("role", "in", "user"), clause("name", "contains", "x", negate=True))
    assert in_words(Segment(rules=[])) == "No rules"
    assert in_words(Segment(rules={})) == "Broken: The rules must be a list"
    assert in_words(Segment(rules=[{"clauses": []}])) == "(a broken rule)"
    expected = 'Role is any of "user" and Name does not contain "x"'
    assert in_words(Segment(rules=[two])) == expected
    assert in_words(Segment(rules=[two, *GERMANS * 4])).endswith(
        'is any of "DE" (and 2 more rules)'
    )


def test_a_list_of_25_costs_as_much_as_one_of_5(staff: Client) -> None:
    def queries() -> int:
        with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
            assert staff.get(LIST).status_code == 200
        return len(captured)

    queries()  # The first request of the hour notes that the user was seen.
    SegmentMemberFactory.create_batch(5)
    few = queries()
    SegmentMemberFactory.create_batch(20)
    assert queries() == few


def test_who_may_only_look_changes_nothing(client: Client) -> None:
    user = UserFactory.create(staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_segment"))
    client.force_login(user)
    segment = SegmentFactory.create(rules=GERMANS)
    assert client.get(change(segment)).status_code == 200
    assert client.post(change(segment), form()).status_code == 403
    assert client.get(ADD).status_code == 403


def test_pages_hold_no_inline_style_or_script(staff: Client) -> None:
    page = staff.get(change(SegmentFactory.create())).content.decode()
    assert " style=" not in page
    assert "<style" not in page
