"""Members of segments in the admin."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.contrib import admin
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.models import ApiKey, HistoryEntry, Segment, SegmentMember
from featureflags.models.versions import RulesetVersion
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, user_of
from tests.featureflags.admin.asking import answer, is_asked, reasons
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

LIST = reverse("admin:featureflags_segmentmember_changelist")
ADD = reverse("admin:featureflags_segmentmember_add")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True, email="staff@example.com"))
    return client


def form(segment: Segment, **fields: Any) -> dict[str, Any]:
    empty = {"reason": "", "expires_at_0": "", "expires_at_1": ""}
    return {"segment": segment.pk, "kind": "include", **empty, **fields}


def test_a_member_is_added_for_a_time_and_the_rules_hear_of_it(staff: Client) -> None:
    segment, user = SegmentFactory.create(), UserFactory.create()
    before = RulesetVersion.read()
    until = {"expires_at_0": "2999-12-31", "expires_at_1": "12:00:00"}
    staff.post(ADD, form(segment, user=user.pk, kind="exclude", reason="left", **until))
    member = SegmentMember.objects.get()
    assert (member.segment, member.user, member.kind) == (segment, user, "exclude")
    assert (member.reason, member.expires_at) == (
        "left",
        datetime.datetime(2999, 12, 31, 12, tzinfo=datetime.UTC),
    )
    assert RulesetVersion.read() != before


def test_users_and_segments_are_looked_up_as_they_are_typed(staff: Client) -> None:
    user, segment = UserFactory.create(email="ada@agpt.co"), SegmentFactory.create(key="beta")
    for field, term, text in (("user", "ADA@", "ada@agpt.co"), ("segment", "bet", "beta")):
        which = {"app_label": "featureflags", "model_name": "segmentmember", "field_name": field}
        found = staff.get(reverse("admin:autocomplete"), {**which, "term": term}).content
        assert [item["text"] for item in json.loads(found)["results"]] == [text]
    # A select box with every user would be megabytes.
    page = staff.get(ADD, {"segment": segment.pk}).content.decode()
    assert user.email not in page
    assert f'<option value="{segment.pk}" selected>beta</option>' in page


@pytest.fixture
def registered() -> Iterator[dict[Any, Any]]:
    """What the admin has; afterwards as before."""
    found: dict[Any, Any] = admin.site._registry
    before = dict(found)
    yield found
    found.clear()
    found.update(before)


Searchable = type("Searchable", (admin.ModelAdmin,), {"search_fields": ("email",)})


@pytest.mark.parametrize(
    ("of_users", "looks_up"), [(None, False), (admin.ModelAdmin, False), (Searchable, True)]
)
def test_a_project_whose_admin_has_no_users_or_cannot_find_them(
    staff: Client, registered: dict[Any, Any], of_users: Any, looks_up: bool
) -> None:
    """Django refuses (E039, E040) a look-up in what an admin does not have: then the user is named by key."""
    del registered[User]
    if of_users is not None:
        admin.site.register(User, of_users)
    for model in (Segment, SegmentMember, ApiKey):
        assert admin.site.get_model_admin(model).check() == []
    page = staff.get(ADD).content.decode()
    assert ('data-field-name="user"' in page) is looks_up
    segment, user = SegmentFactory.create(), UserFactory.create()
    assert staff.post(ADD, form(segment, user=user.pk, kind="exclude")).status_code == 302
    assert SegmentMember.objects.get().user == user


def test_an_error_of_the_model_is_shown_in_the_form(staff: Client) -> None:
    member = SegmentMemberFactory.create()
    twice = staff.post(ADD, form(member.segment, user=user_of(member).pk))
    assert "This user is a member of the segment already." in twice.content.decode()
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}
    late = staff.post(ADD, form(member.segment, user=UserFactory.create().pk, **past))
    assert "This moment has passed already." in late.content.decode()
    assert SegmentMember.objects.count() == 1


def test_a_full_segment_shows_a_message(staff: Client, settings: Settings) -> None:
    member = SegmentMemberFactory.create()
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "MAX_MEMBERS": 1}):
        full = staff.post(ADD, form(member.segment, user=UserFactory.create().pk))
    assert "A segment holds at most 1 members" in full.content.decode()


def test_the_list_filters_and_searches(staff: Client) -> None:
    one = SegmentMemberFactory.create(user__email="ada@agpt.co")
    two = SegmentMemberFactory.create(kind="exclude", user__email="nina@example.com")
    hour = datetime.timedelta(hours=1)
    SegmentMember.objects.filter(pk=two.pk).update(expires_at=timezone.now() - hour)

    def found(**query: Any) -> list[SegmentMember]:
        page = staff.get(LIST, query)
        assert page.status_code == 200
        return list(page.context["cl"].result_list)

    assert found(q="ADA@agpt") == [one]
    assert found(q=two.segment.key) == [two]
    assert found(kind__exact="exclude") == [two]
    assert found(segment__id__exact=one.segment.pk) == [one]
    assert 'alt="False"' in staff.get(LIST, {"q": "nina"}).content.decode()
    assert 'alt="True"' in staff.get(LIST, {"q": "ada"}).content.decode()


@pytest.fixture
def crowd(settings: Settings) -> None:
    """A few users need no confirmation, however many there are."""
    use(settings, CONFIRM_PERCENT=100)


def test_members_are_deleted_one_by_one_and_together(staff: Client, crowd: None) -> None:
    members = SegmentMemberFactory.create_batch(3)
    address = reverse("admin:featureflags_segmentmember_delete", args=[members[0].pk])
    staff.post(address, {"post": "yes"})
    chosen = [member.pk for member in members[1:]]
    action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    staff.post(LIST, action)
    assert not SegmentMember.objects.exists()


class TestGuards:
    """Each write of a membership asks where one of a segment would."""

    @pytest.fixture(autouse=True)
    def flags(self, flag_file: FlagFile, crowd: None) -> None:
        flag_file(boolean_flag("new-checkout", rules=[segment_rule("beta")]))

    @pytest.fixture
    def member(self) -> SegmentMember:
        segment = SegmentFactory.create(key="beta")
        member: SegmentMember = SegmentMemberFactory.create(segment=segment)
        return member

    def change(self, member: SegmentMember) -> str:
        return reverse("admin:featureflags_segmentmember_change", args=[member.pk])

    def test_to_add_one(self, staff: Client, member: SegmentMember) -> None:
        user = UserFactory.create(email="ada@agpt.co")
        asked = staff.post(ADD, form(member.segment, user=user.pk, reason="VIP"))
        assert "new-checkout" in reasons(asked)
        assert "Included 1 user: ada@agpt.co (“VIP”)" in asked.content.decode()
        back = answer(staff, asked, _back="1")
        assert back.context["adminform"].form["reason"].value() == "VIP"
        assert not SegmentMember.objects.filter(user=user).exists()
        answer(staff, asked, note="Asked for it")
        assert SegmentMember.objects.get(user=user).reason == "VIP"
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.note, entry.source) == (1, "Asked for it", "admin")

    def test_to_change_one(self, staff: Client, member: SegmentMember) -> None:
        shown = form(member.segment, user=user_of(member).pk, reason="Tells nobody in or out")
        assert staff.post(self.change(member), shown).status_code == 302
        out = form(member.segment, user=user_of(member).pk, kind="exclude")
        asked = staff.post(self.change(member), out)
        assert is_asked(asked)
        answer(staff, asked)
        member.refresh_from_db()
        assert member.kind == "exclude"

    def test_to_move_one_to_another_segment(self, staff: Client, member: SegmentMember) -> None:
        other = SegmentFactory.create(key="other")
        asked = staff.post(self.change(member), form(other, user=user_of(member).pk))
        assert [one.key for one in asked.context["shown"]] == ["beta"]
        answer(staff, asked)
        moved = SegmentMember.objects.get()
        assert (moved.segment, moved.user) == (other, member.user)

    def test_to_delete_one_and_many(self, staff: Client, member: SegmentMember) -> None:
        second = SegmentMemberFactory.create(segment=member.segment)
        address = reverse("admin:featureflags_segmentmember_delete", args=[member.pk])
        asked = staff.post(address, {"post": "yes"})
        assert is_asked(asked)
        assert SegmentMember.objects.count() == 2
        answer(staff, asked)
        quiet = SegmentMemberFactory.create()
        chosen = [second.pk, quiet.pk]
        action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        asked = staff.post(LIST, action)
        assert is_asked(asked)
        answer(staff, asked)
        assert not SegmentMember.objects.exists()

    @override_settings(TIME_ZONE="Europe/Berlin")
    def test_the_expiry_names_its_time_zone(self, staff: Client) -> None:
        assert "In the time zone Europe/Berlin." in staff.get(ADD).content.decode()


def test_a_list_of_25_costs_as_much_as_one_of_5(staff: Client) -> None:
    def queries() -> int:
        with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
            assert staff.get(LIST).status_code == 200
        return len(captured)

    queries()  # The first request of the hour notes that the user was seen.
    segment = SegmentFactory.create()
    SegmentMemberFactory.create_batch(5, segment=segment)
    few = queries()
    SegmentMemberFactory.create_batch(20, segment=segment)
    assert queries() == few
