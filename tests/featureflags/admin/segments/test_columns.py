"""Sizes in the list of segments: stored numbers, when they were counted, and their trend."""

from __future__ import annotations

import datetime

import pytest
from cachalot.api import cachalot_disabled
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.audience.stored_sizes import count_everything
from featureflags.models import SegmentCount, SegmentSize
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db

LIST = reverse("admin:featureflags_segment_changelist")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


def page(client: Client, **query: str) -> str:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_number_when_it_was_counted_and_how_it_went(staff: Client) -> None:
    SegmentMemberFactory.create_batch(3, segment=SegmentFactory.create(key="beta"))
    count_everything()
    day = timezone.localdate() - datetime.timedelta(days=7)
    SegmentCount.objects.create(segment_key="beta", day=day, at_least=5, at_most=5)
    shown = page(staff, q="beta")
    assert ">3</a>" in shown
    assert 'title="Counted ' in shown
    assert "(UTC)" in shown
    assert "-2 in 7 days" in shown
    assert '<svg class="spark"' in shown


def test_what_is_not_known_is_said(staff: Client) -> None:
    segment = SegmentFactory.create(key="beta")
    assert "not counted yet" in page(staff, q="beta")
    SegmentSize.objects.create(
        segment=segment, at_least=1200, at_most=1300, users=5000, counted_at=timezone.now()
    )
    shown = page(staff, q="beta")
    assert "at least 1,200" in shown
    assert "It has changed since." in shown


def test_segments_are_sorted_by_size(staff: Client) -> None:
    for key, members in (("few", 1), ("many", 3)):
        SegmentMemberFactory.create_batch(members, segment=SegmentFactory.create(key=key))
    count_everything()
    shown = page(staff, o="-3")
    assert shown.index(">many<") < shown.index(">few<")


def test_sizes_and_trends_cost_one_query_for_any_number_of_segments(staff: Client) -> None:
    def queries() -> int:
        count_everything()
        with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
            page(staff)
        assert not [query for query in captured if "FILTER (WHERE" in query["sql"]]
        return len(captured)

    queries()
    SegmentFactory.create_batch(5)
    few = queries()
    SegmentFactory.create_batch(20)
    assert queries() == few


class TestFlags:
    def test_the_list_names_the_flags_of_each_segment(
        self, staff: Client, flag_file: FlagFile
    ) -> None:
        SegmentFactory.create(key="crew")
        flag_file(
            *(boolean_flag(f"flag-{n}", rules=[segment_rule("crew")]) for n in range(5)),
            boolean_flag("asleep", on=False, rules=[segment_rule("employee")]),
        )
        shown = page(staff, q="crew")
        address = reverse("admin:featureflags_flag", args=["flag-0"])
        assert f'<a href="{address}">flag-0</a>' in shown
        assert "flag-2</a> and 2 more" in shown
        assert "flag-3" not in shown
        assert "asleep" in page(staff, q="employee")

    def test_without_flags_the_list_is_there(self, staff: Client, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": "/nowhere.json"}
        assert "new_user" in page(staff)

    def test_the_segment_names_those_that_decide_nobody_now(
        self, staff: Client, flag_file: FlagFile
    ) -> None:
        segment = SegmentFactory.create(key="crew")
        flag_file(
            boolean_flag("awake", rules=[segment_rule("crew")]),
            boolean_flag("asleep", on=False, rules=[segment_rule("crew")]),
        )
        shown = staff.get(reverse("admin:featureflags_segment_change", args=[segment.pk]))
        asleep, awake = shown.content.decode().split('<ul class="used-by">')[1].split("</li>")[:2]
        assert "It has no effect now" in asleep
        assert "It has no effect now" not in awake
        assert reverse("admin:featureflags_flag", args=["awake"]) in awake
