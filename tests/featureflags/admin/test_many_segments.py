"""Thousands of segments: no page, and no answer of the API, grows with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest
from cachalot.api import cachalot_disabled
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from featureflags.admin.shared.segment_finder import FOUND, MOST_LISTED
from featureflags.audience.stored_sizes import count_everything
from featureflags.models import Segment
from featureflags.models.versions import RulesetVersion
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

FEW: Final = 300
MANY: Final = 600
PAGES: Final = (
    *("index", "featureflags_segment_changelist", "featureflags_segment_add"),
    *("featureflags_segment_overlap", "featureflags_why", "featureflags_flags"),
    *("featureflags_segmentmember_changelist", "featureflags_segmentmember_add"),
    *("users_user_changelist", "featureflags_proposals"),
)
FOUND_HERE: Final = reverse("admin:featureflags_segments_found")


def add_segments(first: int, last: int) -> None:
    """Written past the model, which would validate each of them by itself."""
    rows = [
        Segment(
            key=f"s{number:05}",
            name=f"Segment {number}",
            rules=[rule(clause("custom_plan", "in", f"plan {number}"))],
        )
        for number in range(first, last)
    ]
    plain: QuerySet[Segment] = QuerySet(Segment)
    plain.bulk_create(rows)
    RulesetVersion.raise_version()
    count_everything()


@pytest.fixture
def staff(client: Client, flag_file: FlagFile) -> Client:
    flag_file(boolean_flag("beta", rules=[segment_rule("s00001")]))
    client.force_login(UserFactory.create(superuser=True, metadata={"plan": "plan 1"}))
    add_segments(0, FEW)
    SegmentMemberFactory.create(segment=Segment.objects.get(key="s00001"))
    return client


def addresses() -> Mapping[str, str]:
    one = Segment.objects.get(key="s00001")
    found = {name: reverse(f"admin:{name}") for name in PAGES}
    found["change"] = reverse("admin:featureflags_segment_change", args=[one.pk])
    found["user"] = reverse("admin:featureflags_usercontext", args=[User.objects.earliest("pk").pk])
    found["members"] = reverse("admin:featureflags_segment_members", args=[one.key])
    found["flag"] = reverse("admin:featureflags_flag", args=["beta"])
    found["api"] = "/api/v1/segments/"
    return found


def measure(client: Client, address: str) -> tuple[int, int]:
    """Characters and queries of a page that was asked for before."""
    client.get(address)
    with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    assert (address, answer.status_code) == (address, 200)
    return len(answer.content), len(captured)


def test_no_page_grows_with_them(staff: Client) -> None:
    before = {name: measure(staff, address) for name, address in addresses().items()}
    add_segments(FEW, MANY)
    wrong = []
    for name, address in addresses().items():
        (size, queries), (size_now, queries_now) = before[name], measure(staff, address)
        # A longer number, or one link more to a page of the list.
        if size_now > size + 500 or queries_now > queries:
            wrong.append(f"{name}: {size} to {size_now} bytes, {queries} to {queries_now} queries")
    assert not wrong, "\n".join(wrong)


def found_for(client: Client, text: str, **asked: str) -> list[str]:
    answer = client.get(FOUND_HERE, {"q": text, **asked})
    assert answer.status_code == 200
    return [each["value"] for each in answer.json()["found"]]


class TestTheyAreFoundAsTheyAreTyped:
    def test_by_a_part_of_the_key_or_the_name(self, staff: Client) -> None:
        assert found_for(staff, "s0029") == [f"s{number:05}" for number in range(290, 300)]
        # What begins with it comes first.
        assert found_for(staff, "segment 7")[:2] == ["s00007", "s00070"]
        assert len(found_for(staff, "s")) == FOUND
        assert found_for(staff, "nothing like it") == []

    def test_neither_archived_nor_oneself(self, staff: Client) -> None:
        Segment.objects.filter(key="s00291").update(is_archived=True, is_active=False)
        assert found_for(staff, "s0029", without="s00292")[:3] == ["s00290", "s00293", "s00294"]

    def test_with_flags(self, staff: Client) -> None:
        assert found_for(staff, "bet", flags="1") == ["flag:beta"]
        assert found_for(staff, "s00007", flags="1") == ["segment:s00007"]

    def test_it_takes_a_permission(self, client: Client, staff: Client) -> None:
        client.force_login(UserFactory.create(staff=True))
        assert client.get(FOUND_HERE).status_code == 403


class TestWithoutAList:
    def test_why_takes_the_key_that_is_typed(self, staff: Client) -> None:
        user, page = User.objects.earliest("pk"), reverse("admin:featureflags_why")
        for typed in ("segment:s00001", " s00001 "):
            answer = staff.post(page, {"user": str(user.pk), "about": typed})
            expected = reverse("admin:featureflags_why_segment", args=["s00001", user.pk])
            assert answer.headers["Location"] == expected
        answer = staff.post(page, {"user": str(user.pk), "about": "flag:beta"})
        assert "/why/flag/" in answer.headers["Location"]
        answer = staff.post(page, {"user": str(user.pk), "about": "gone"})
        assert answer.context["form"].errors["about"] == [
            "There is no segment or flag with this key."
        ]

    def test_segments_are_compared_by_the_keys_that_are_typed(self, staff: Client) -> None:
        page = reverse("admin:featureflags_segment_overlap")
        answer = staff.get(page, {"a": "s00001 ", "b": "s00002"})
        assert answer.context["found"] is not None
        assert 'value="s00002"' in answer.content.decode()
        answer = staff.get(page, {"a": "s00001", "b": "gone"})
        assert "Choose two or three different segments" in answer.content.decode()

    def test_users_are_filtered_by_the_key_that_is_typed(self, staff: Client) -> None:
        page = staff.get(reverse("admin:users_user_changelist"), {"segment": "s00001"})
        assert page.context["cl"].result_count == 2
        assert 'value="s00001"' in page.content.decode()

    def test_a_list_is_there_as_long_as_it_is_short(self, client: Client) -> None:
        client.force_login(UserFactory.create(superuser=True))
        add_segments(0, MOST_LISTED // 2)
        page = client.get(reverse("admin:featureflags_segment_overlap")).content.decode()
        assert '<option value="s00099">' in page
        assert "data-segments" not in page


def test_the_search_of_a_user_s_page_finds_the_others(staff: Client) -> None:
    user = User.objects.earliest("pk")
    page = staff.get(reverse("admin:featureflags_usercontext", args=[user.pk]))
    outside = page.context["outside"]
    assert len(outside.rows) < outside.total
    assert f"And {outside.more} more" in page.content.decode()
    answer = staff.get(page.request["PATH_INFO"], {"q": "s00299"})
    assert [row.key for row in answer.context["outside"].rows] == ["s00299"]
