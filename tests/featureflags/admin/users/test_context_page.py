"""The page of a user as LaunchDarkly sees them."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from pytest_django.fixtures import Settings

from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule, user_of
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.flag_json import clause as clause_of
from tests.services.flag_json import rule as rule_of
from users.models import User

pytestmark = pytest.mark.django_db

FlagFile = Callable[..., Path]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


def address(user: User) -> str:
    return reverse("admin:featureflags_usercontext", args=[user.pk])


def ada() -> User:
    return UserFactory.create(email="ada@agpt.co", metadata={"plan": "<pro>"})


def inside(client: Client, user: User) -> list[str]:
    """Keys of the segments that the page says the user is in."""
    return [row.key for row in client.get(address(user)).context["inside"].rows]


def test_the_page_shows_context_segments_and_flags(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]), undeclared=7)
    user = ada()
    response = staff.get(address(user))
    context = json.loads(response.context["context_json"])
    assert context["key"] == str(user.pk)
    assert context["custom_plan"] == "<pro>"
    assert context["segments"] == ["employee", "established_user", "user"]
    inside = [row.key for row in response.context["inside"].rows]
    assert inside == ["employee", "established_user", "user"]
    assert "new_user" in [row.key for row in response.context["outside"].rows]
    rows = {row.key: row for row in response.context["flags"]}
    assert rows["internal-tools"].value == "true"
    assert rows["internal-tools"].reason == "Rule 1 (rule-employee) matched."
    assert rows["internal-tools"].degraded == ()
    assert rows["undeclared"].description == "Not declared in this project."
    assert rows["welcome-tour"].value == "false"
    assert rows["welcome-tour"].degraded == ("LaunchDarkly has no flag of this key.",)
    page = response.content.decode()
    assert "Rule 1 (rule-employee) matched." in page
    assert "LaunchDarkly has no flag of this key." in page
    assert "&lt;pro&gt;" in page
    assert "<pro>" not in page


def test_the_deciding_rule_is_shown_in_words(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))
    response = staff.get(address(ada()))
    rows = {row.key: row for row in response.context["flags"]}
    assert rows["internal-tools"].rule == 'Rule 1: segments is any of "employee".'
    assert rows["welcome-tour"].rule == ""
    assert "segments is any of &quot;employee&quot;" in response.content.decode()


def test_what_is_withheld_is_named_and_its_value_is_not_shown(
    staff: Client, flag_file: FlagFile
) -> None:
    user = UserFactory.create(metadata={"last_ip": "203.0.113.9"})
    response = staff.get(address(user))
    [row] = [row for row in response.context["attributes"] if row.privacy == "withheld"]
    assert (row.name, row.value) == ("custom_last_ip", "")
    page = response.content.decode()
    assert "custom_last_ip" in page
    assert "203.0.113.9" not in page


def test_what_is_withheld_and_asked_for_by_a_flag_names_the_flag(
    staff: Client, flag_file: FlagFile
) -> None:
    flag_file(
        boolean_flag("calls", rules=[rule_of(clause_of("custom_phone", "exists", True))]),
        boolean_flag("paid", rules=[rule_of(clause_of("custom_plan", "in", "pro"))]),
    )
    user = UserFactory.create(metadata={"phone": "+49 1", "bio": "x", "plan": "pro"})
    response = staff.get(address(user))
    withheld = {
        row.name: row.wanted_by
        for row in response.context["attributes"]
        if row.privacy == "withheld"
    }
    assert withheld == {"custom_bio": (), "custom_phone": ("calls",)}
    assert "Rules that test it match nobody, in: calls" in response.content.decode()


def test_private_attributes_are_marked(staff: Client, flag_file: FlagFile) -> None:
    rows = staff.get(address(ada())).context["attributes"]
    assert {row.name for row in rows if row.privacy == "private"} == {"email", "name"}
    assert {row.name: row.value for row in rows}["role"] == '"user"'


def test_it_follows_a_segment_that_was_edited(staff: Client, flag_file: FlagFile) -> None:
    user = ada()
    assert "payers" not in inside(staff, user)
    SegmentFactory.create(key="payers", rules=[rule(clause("custom_plan", "in", "<pro>"))])
    assert "payers" in inside(staff, user)


def test_flags_that_were_never_loaded_are_degraded(staff: Client, settings: Settings) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "FLAG_FILE": "/nowhere.json"}):
        flags = staff.get(address(ada())).context["flags"]
    assert {row.degraded for row in flags} == {("LaunchDarkly has not sent any flags yet.",)}


def test_the_user_s_page_links_to_it(staff: Client, flag_file: FlagFile) -> None:
    user = ada()
    page = staff.get(reverse("admin:users_user_change", args=[user.pk])).content.decode()
    assert f'<a href="{address(user)}">Segments and flags</a>' in page


@pytest.mark.parametrize(("permission", "status"), [("view_user", 200), ("view_segment", 403)])
def test_it_asks_for_the_permission_to_see_users(
    client: Client, flag_file: FlagFile, permission: str, status: int
) -> None:
    user = UserFactory.create(staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    client.force_login(user)
    assert client.get(address(ada())).status_code == status


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    response = client.get(address(ada()))
    assert response.status_code == 302
    assert "/admin/login/" in response.headers["Location"]


def test_an_unknown_key_is_not_found(staff: Client) -> None:
    unknown = reverse("admin:featureflags_usercontext", args=[uuid.uuid4()])
    assert staff.get(unknown).status_code == 404


def test_the_page_holds_no_inline_style(staff: Client, flag_file: FlagFile) -> None:
    page = staff.get(address(ada())).content.decode()
    assert " style=" not in page
    assert "<style" not in page
    assert "featureflags/pages.css" in page


def test_segments_and_flags_can_be_searched(staff: Client, flag_file: FlagFile) -> None:
    SegmentFactory.create_batch(3)
    SegmentFactory.create(key="payers", name="Paying customers")
    response = staff.get(address(ada()), {"q": " PAYING "})
    assert [row.key for row in response.context["outside"].rows] == ["payers"]
    assert response.context["inside"].rows == ()
    assert response.context["flags"] == []
    page = response.content.decode()
    assert "No flag has this name." in page
    assert "<details open>" in page
    response = staff.get(address(UserFactory.create()), {"q": "tour"})
    assert [row.key for row in response.context["flags"]] == ["welcome-tour"]


def test_each_row_leads_to_why(staff: Client, flag_file: FlagFile) -> None:
    user = ada()
    page = staff.get(address(user)).content.decode()
    for what, key in (("segment", "employee"), ("segment", "new_user"), ("flag", "welcome-tour")):
        link = reverse(f"admin:featureflags_why_{what}", args=[key, user.pk])
        assert f'href="{link}"' in page


def test_without_the_permission_to_see_segments_nothing_leads_there(
    client: Client, flag_file: FlagFile
) -> None:
    viewer = UserFactory.create(staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(viewer)
    assert "/why/" not in client.get(address(ada())).content.decode()


class TestChanges:
    @pytest.fixture(autouse=True)
    def flags(self, flag_file: FlagFile, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        flag_file(
            boolean_flag("tour", rules=[segment_rule("new_user")]),
            boolean_flag("checklist", rules=[rule_of(clause("account_age_days", "in", 40))]),
        )

    def test_the_moment_the_segments_and_the_flags(self, staff: Client) -> None:
        created = timezone.now() - datetime.timedelta(days=2)
        response = staff.get(address(UserFactory.create(created_at=created)))
        first, second = response.context["changes"]
        wanted = timezone.localtime(created + datetime.timedelta(days=7))
        assert first.at == f"{date_format(wanted, 'DATETIME_FORMAT')} (Europe/Berlin)"
        assert (first.entering, first.leaving) == (("recent_user",), ("new_user",))
        assert first.causes == ("Account age in days becomes 7",)
        assert first.flags == ("tour: true → false",)
        assert (second.entering, second.flags) == (("established_user",), ())
        page = response.content.decode()
        assert "Enters recent_user" in page
        assert "Flag tour: true → false" in page

    def test_a_membership_that_ends(self, staff: Client) -> None:
        ends = timezone.now() + datetime.timedelta(days=3)
        member = SegmentMemberFactory.create(segment__key="beta", expires_at=ends)
        [change] = staff.get(address(user_of(member))).context["changes"]
        assert change.causes == ("the membership by name of beta ends",)
        assert change.leaving == ("beta",)

    def test_nothing_changes_by_itself(self, staff: Client) -> None:
        response = staff.get(address(ada()))
        assert response.context["changes"] == []
        assert "No segment changes by itself" in response.content.decode()


def test_the_number_of_queries_does_not_grow_with_segments_and_flags(
    staff: Client, flag_file: FlagFile
) -> None:
    user = ada()

    def queries() -> int:
        with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
            assert staff.get(address(user)).status_code == 200
        return len(captured)

    def grow(to: int) -> int:
        SegmentFactory.create_batch(to, rules=[rule(clause("role", "in", "user"))])
        flag_file(*(boolean_flag(f"flag-{n}") for n in range(to)))
        queries()  # The rules are read anew, once.
        return queries()

    assert grow(5) == grow(20)
