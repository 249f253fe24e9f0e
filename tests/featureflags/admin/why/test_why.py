"""“Why?”: from a flag's value by its rules and segments to the user's own field."""

from __future__ import annotations

import datetime
import uuid

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from pytest_django.fixtures import Settings

from featureflags.models import SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule, user_of
from tests.featureflags.admin.flags.pages import as_one_who_may
from tests.featureflags.admin.why.pages import VIEWER, ada, why_flag
from tests.services.flag_json import segment_rule, string_flag
from users.models import User

pytestmark = pytest.mark.django_db

SEARCH = reverse("admin:featureflags_why")


def why_segment(key: str, user: User) -> str:
    return reverse("admin:featureflags_why_segment", args=[key, user.pk])


class TestSegment:
    def test_in_by_a_rule_with_the_value_of_each_condition(self, viewer: Client) -> None:
        response = viewer.get(why_segment("employee", ada()))
        section = response.context["section"]
        assert section.verdict is True
        assert section.headline == "Ada is in “employee”: rule 1 matches."
        [only] = section.rules
        assert [(row.words, row.held, row.observed) for row in only.conditions] == [
            ('E-mail domain is any of "agpt.co"', True, 'E-mail domain: "agpt.co"'),
            ("E-mail verified is true", True, "E-mail verified: true"),
        ]
        page = response.content.decode()
        assert "Why is Ada in employee?" in page
        assert "It stays like this until somebody changes the user or the segment." in page

    def test_not_in_and_what_came_closest(self, viewer: Client) -> None:
        user = ada()
        User.objects.filter(pk=user.pk).update(email_verified=False)
        section = viewer.get(why_segment("employee", user)).context["section"]
        assert section.verdict is False
        assert section.headline == "Ada is not in “employee”: no rule matches."
        assert section.notes == ("Rule 1 comes closest: 1 condition does not hold.",)
        assert [row.held for row in section.rules[0].conditions] == [True, False]
        assert section.rules[0].conditions[1].observed == "E-mail verified: false"

    def test_the_next_step(self, viewer: Client, client: Client, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONFIRM_PERCENT": 100.0}
        user = ada()
        segment = SegmentFactory.create(key="vip", rules=[rule(clause("name", "in", "ada", "Bea"))])
        response = viewer.get(why_segment("vip", user))
        section = response.context["section"]
        assert section.rules[0].conditions[0].note == "It differs only in upper and lower case."
        edit = reverse("admin:featureflags_segment_change", args=[segment.pk])
        assert f'href="{edit}#rule-1"' in response.content.decode()
        # It takes the permission to add members.
        assert response.context["step"] is None
        members = ("view_segmentmember", "add_segmentmember", "change_segmentmember")
        as_one_who_may(client, *VIEWER, *members)
        step = client.get(why_segment("vip", user)).context["step"]
        assert step.text == "Include by name"
        client.post(step.action, dict(step.fields))
        assert SegmentMember.objects.get(user=user).kind == SegmentMember.Kind.INCLUDE
        after = client.get(why_segment("vip", user)).context
        assert (after["section"].verdict, after["step"].text) == (True, "Exclude by name")
        client.post(after["step"].action, dict(after["step"].fields))
        assert SegmentMember.objects.get(user=user).kind == SegmentMember.Kind.EXCLUDE
        segment.is_active = False
        segment.save()
        assert client.get(why_segment("vip", user)).context["step"] is None

    def test_what_differs_in_more_than_case(self, viewer: Client) -> None:
        rules = [
            rule(clause("name", "in", "Bea")),
            rule(clause("name", "in", "ADA", negate=True), clause("name", "contains", "x")),
            rule(clause("email", "endsWith", "@AGPT.example")),
        ]
        SegmentFactory.create(key="vip", rules=rules)
        section = viewer.get(why_segment("vip", ada())).context["section"]
        notes = [row.note for each in section.rules for row in each.conditions]
        assert notes == ["", "", "", ""]

    def test_what_the_user_lacks(self, viewer: Client) -> None:
        SegmentFactory.create(
            key="payers", rules=[rule(clause("custom_plan", "in", "free", negate=True))]
        )
        [only] = viewer.get(why_segment("payers", ada())).context["section"].rules
        assert only.conditions[0].observed == "plan: not known"
        assert only.conditions[0].note.startswith("A user without it never matches")

    def test_a_date_in_the_zone_of_the_site(self, viewer: Client, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        SegmentFactory.create(
            key="old", rules=[rule(clause("created_at", "before", "2030-01-01T00:00:00Z"))]
        )
        user = ada(created_at=datetime.datetime(2026, 7, 1, 22, 30, tzinfo=datetime.UTC))
        [only] = viewer.get(why_segment("old", user)).context["section"].rules
        assert only.conditions[0].observed == (
            'Account created: "2026-07-01T22:30:00Z", July 2, 2026, 12:30 a.m. (Europe/Berlin)'
        )

    @pytest.mark.parametrize(
        ("kind", "headline"),
        [
            (SegmentMember.Kind.INCLUDE, "Ada is in “beta”: included by name."),
            (SegmentMember.Kind.EXCLUDE, "Ada is not in “beta”: excluded by name."),
        ],
    )
    def test_by_name_with_reason_and_expiry(self, viewer: Client, kind: str, headline: str) -> None:
        ends = timezone.now() + datetime.timedelta(days=3)
        segment = SegmentFactory.create(key="beta", rules=[rule(clause("role", "in", "user"))])
        member = SegmentMemberFactory.create(
            segment=segment, user=ada(), kind=kind, expires_at=ends, reason="Asked for it"
        )
        response = viewer.get(why_segment("beta", user_of(member)))
        section = response.context["section"]
        assert section.headline == headline
        sentence, rules = section.notes
        until = date_format(timezone.localtime(ends), "DATETIME_FORMAT")
        assert sentence.startswith(headline.rpartition(": ")[2][:8].capitalize())
        assert f"until {until} (UTC): Asked for it" in sentence
        assert rules == "The rules are not checked. They would give:"
        changes = kind == SegmentMember.Kind.EXCLUDE
        assert ("this changes by itself on" in response.content.decode()) is changes

    def test_each_segment_that_it_uses_is_shown_once(self, viewer: Client) -> None:
        SegmentFactory.create(key="base", rules=[rule(clause("role", "in", "admin"))])
        for key in ("left", "right"):
            SegmentFactory.create(key=key, rules=[rule(clause("", "segmentMatch", "base"))])
        SegmentFactory.create(
            key="top",
            rules=[rule(clause("", "segmentMatch", "left", "right", "employee", negate=True))],
        )
        response = viewer.get(why_segment("top", ada()))
        [only] = response.context["section"].rules
        [condition] = only.conditions
        assert condition.observed == "In employee"
        assert [(link.text, link.href) for link in condition.links] == [
            ("Why not in left?", "#segment-left"),
            ("Why not in right?", "#segment-right"),
            ("Why in employee?", "#segment-employee"),
        ]
        anchors = [section.anchor for section in response.context["others"]]
        assert anchors == ["segment-left", "segment-right", "segment-employee", "segment-base"]
        page = response.content.decode()
        for anchor in anchors:
            assert page.count(f'id="{anchor}"') == 1

    def test_an_inactive_one_and_one_without_rules(self, viewer: Client) -> None:
        user = ada()
        SegmentFactory.create(
            key="off", is_active=False, rules=[rule(clause("role", "in", "user"))]
        )
        SegmentFactory.create(key="empty")
        headline = viewer.get(why_segment("off", user)).context["section"].headline
        assert headline == "Ada is not in “off”: it is not active."
        headline = viewer.get(why_segment("empty", user)).context["section"].headline
        assert headline == "Ada is not in “empty”: it has no rules."

    def test_when_it_changes_by_itself(self, viewer: Client) -> None:
        created = timezone.now() - datetime.timedelta(days=2)
        page = viewer.get(why_segment("new_user", ada(created_at=created))).content.decode()
        at = timezone.localtime(created + datetime.timedelta(days=7))
        assert f"changes by itself on {date_format(at, 'DATETIME_FORMAT')} (UTC)" in page

    def test_what_it_costs_does_not_grow_with_the_segments(self, viewer: Client) -> None:
        def queries(keys: list[str]) -> int:
            user = UserFactory.create()
            SegmentFactory.create(
                key=f"rests-on-{len(keys)}", rules=[rule(clause("", "segmentMatch", *keys))]
            )
            address = why_segment(f"rests-on-{len(keys)}", user)
            viewer.get(address)
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                assert viewer.get(address).status_code == 200
            return len(captured)

        keys = [each.key for each in SegmentFactory.create_batch(12)]
        assert queries(keys[:2]) == queries(keys)


class TestSearch:
    @pytest.mark.parametrize("by", ["email", "key"])
    def test_by_address_or_key(self, viewer: Client, by: str) -> None:
        user = ada()
        typed = "ADA@agpt.co " if by == "email" else str(user.pk)
        response = viewer.post(SEARCH, {"user": typed, "about": "segment:employee"})
        assert response.headers["Location"] == why_segment("employee", user)
        response = viewer.post(SEARCH, {"user": typed, "about": "flag:welcome-tour"})
        assert response.headers["Location"] == why_flag("welcome-tour", user)

    def test_nobody_of_that_name(self, viewer: Client) -> None:
        response = viewer.post(SEARCH, {"user": "nobody@example.com", "about": "segment:employee"})
        assert response.context["form"].errors["user"] == [
            "Nobody has this key, or this in their name or address."
        ]
        assert 'value="nobody@example.com"' in response.content.decode()

    def test_by_a_part_of_a_name_or_address(self, viewer: Client) -> None:
        user = ada()
        for typed in ("agpt", "ADA@"):
            response = viewer.post(SEARCH, {"user": typed, "about": "segment:employee"})
            assert response.headers["Location"] == why_segment("employee", user)
        other = UserFactory.create(email="adam@x.io", name="Adam Ant")
        response = viewer.post(SEARCH, {"user": "ada", "about": "segment:employee"})
        titles = [one.person.title for one in response.context["candidates"]]
        assert titles == ["ada@agpt.co", "adam@x.io"]
        # The button of one comes after the field with the part.
        chosen = {"user": ["ada", str(other.pk)], "about": "segment:employee"}
        response = viewer.post(SEARCH, chosen)
        assert response.headers["Location"] == why_segment("employee", other)

    def test_it_knows_the_segment_that_one_comes_from(self, viewer: Client) -> None:
        page = viewer.get(SEARCH, {"about": "segment:employee"}).content.decode()
        assert '<option value="segment:employee" selected>' in page

    def test_an_invalid_choice(self, viewer: Client) -> None:
        response = viewer.post(SEARCH, {"user": "x", "about": "segment:gone"})
        assert response.status_code == 200
        assert "about" in response.context["form"].errors

    def test_the_segment_s_page_leads_to_it(self, viewer: Client) -> None:
        found = SegmentFactory.create(key="beta")
        page = viewer.get(reverse("admin:featureflags_segment_change", args=[found.pk]))
        assert f'href="{SEARCH}?about=segment:beta"' in page.content.decode()


def addresses(user: User) -> list[str]:
    return [SEARCH, why_segment("employee", user), why_flag("welcome-tour", user)]


@pytest.mark.parametrize("missing", VIEWER)
def test_both_permissions_are_needed(client: Client, missing: str) -> None:
    user = UserFactory.create(staff=True)
    wanted = [codename for codename in VIEWER if codename != missing]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(user)
    for address in addresses(ada()):
        assert client.get(address).status_code == 403


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    for address in addresses(ada()):
        assert "/admin/login/" in client.get(address).headers["Location"]


def test_what_there_is_not_is_not_found(viewer: Client) -> None:
    user = ada()
    nobody = User(pk=uuid.uuid4())
    for address in (
        why_segment("gone", user),
        why_flag("gone", user),
        why_segment("employee", nobody),
        why_flag("welcome-tour", nobody),
    ):
        assert viewer.get(address).status_code == 404


def test_markup_in_names_and_values_stays_text(viewer: Client, flag_file: FlagFile) -> None:
    SegmentFactory.create(
        key="odd", name="<b>odd</b>", rules=[rule(clause("custom_x", "in", "<i>x</i>"))]
    )
    flag_file(string_flag("odd", ("<u>", "y"), rules=[segment_rule("odd")]))
    user = ada(metadata={"x": "<i>x</i>"})
    for address in (why_segment("odd", user), why_flag("odd", user)):
        page = viewer.get(address).content.decode()
        assert "&lt;i&gt;x" in page
        for markup in ("<i>", "<b>", "<u>", " style="):
            assert markup not in page
