"""Segments compared, as a page; and the list of other installations."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.factories import SegmentFactory, UserFactory, clause, rule

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:featureflags_segment_overlap")
PEOPLE = reverse("admin:featureflags_segment_overlap_people")


@pytest.fixture(autouse=True)
def segments() -> None:
    for plan, country in (("pro", "DE"), ("pro", "FR"), ("free", "DE")):
        UserFactory.create(
            email=f"{plan}-{country}@example.com", metadata={"plan": plan, "country": country}
        )
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])
    SegmentFactory.create(key="germans", rules=[rule(clause("custom_country", "in", "DE"))])
    SegmentFactory.create(key="nobody")
    SegmentFactory.create(key="gone", is_active=False, is_archived=True)


@pytest.fixture
def viewer(client: Client) -> Client:
    user = UserFactory.create(staff=True)
    wanted = ("view_segment", "view_user")
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(user)
    return client


def test_the_numbers_and_the_people_of_each_part(viewer: Client) -> None:
    page = viewer.get(PAGE, {"a": "paying", "b": "germans"})
    parts = {part.words: part for part in page.context["parts"]}
    assert {words: part.number for words, part in parts.items()} == {
        "In paying and germans": "1",
        "In paying, not in germans": "1",
        "In germans, not in paying": "1",
        "In none of them": "1",
    }
    people = viewer.get(parts["In paying, not in germans"].people).context["people"].rows
    assert [row.title for row in people] == ["pro-fr@example.com"]
    assert 'role="img"' in page.content.decode()


def test_three_segments_and_what_stands_out(viewer: Client) -> None:
    page = viewer.get(PAGE, {"a": "paying", "b": "germans", "c": "nobody"})
    assert len(page.context["parts"]) == 8
    assert page.context["sentences"] == ["Nobody is in “nobody”."]
    SegmentFactory.create(key="free", rules=[rule(clause("custom_plan", "in", "free"))])
    page = viewer.get(PAGE, {"a": "free", "b": "germans", "c": "paying"})
    assert page.context["sentences"] == [
        "All of “free” are in “germans”.",
        "Nobody is in both “free” and “paying”.",
    ]
    others = [("custom_plan", "free"), ("custom_country", "FR")]
    either = [rule(clause(name, "in", value)) for name, value in others]
    SegmentFactory.create(key="either", rules=either)
    page = viewer.get(PAGE, {"a": "either", "b": "germans", "c": "paying"})
    assert page.context["sentences"] == [
        "Nobody is in all of “either” and “germans” and “paying”.",
    ]


def test_archived_segments_are_not_offered(viewer: Client) -> None:
    keys = {key for key, _text in viewer.get(PAGE).context["choices"]}
    assert "paying" in keys
    assert "gone" not in keys


@pytest.mark.parametrize("chosen", [{"a": "paying", "b": "paying"}, {"a": "paying", "b": "zzz"}])
def test_what_cannot_be_compared_is_said(viewer: Client, chosen: dict[str, str]) -> None:
    page = viewer.get(PAGE, chosen)
    assert "Choose two or three different segments" in page.content.decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"part": "10"},
        {"a": "paying", "b": "germans", "part": "00"},
        {"a": "paying", "b": "germans", "part": "1"},
        {"a": "paying", "b": "germans", "part": "1x"},
        {"a": "paying", "b": "zzz", "part": "10"},
    ],
)
def test_a_part_that_there_is_not(viewer: Client, asked: dict[str, str]) -> None:
    assert viewer.get(PEOPLE, asked).status_code == 404


def test_without_the_permission_to_view_users_there_are_numbers_alone(client: Client) -> None:
    user = UserFactory.create(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    client.force_login(user)
    page = client.get(PAGE, {"a": "paying", "b": "germans"})
    assert not any(part.people for part in page.context["parts"])
    asked = {"a": "paying", "b": "germans", "part": "10"}
    assert client.get(PEOPLE, asked).status_code == 403


class TestInstallations:
    ENTRY = "staging https://127.0.0.1:1/api/v1 gdn_secret-of-the-page"

    @pytest.fixture(autouse=True)
    def known(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "INSTALLATIONS": [self.ENTRY]}

    def test_they_are_listed_by_name_and_the_key_is_on_no_page(self, viewer: Client) -> None:
        page = viewer.get(reverse("admin:featureflags_installations")).content.decode()
        assert "Compare with staging" in page
        compared = viewer.get(reverse("admin:featureflags_installation", args=["staging"]))
        assert "not public" in compared.content.decode()
        assert "secret-of-the-page" not in page + compared.content.decode()

    def test_one_that_the_setting_lacks(self, viewer: Client) -> None:
        address = reverse("admin:featureflags_installation", args=["other"])
        assert viewer.get(address).status_code == 404
