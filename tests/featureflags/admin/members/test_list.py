"""Who is included and excluded by name: the list, one more, a list by CSV, and as CSV."""

from __future__ import annotations

import csv
import datetime
import io
from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory, user_of
from tests.featureflags.admin.asking import answer, reasons
from tests.featureflags.admin.members.pages import (
    IMPORT,
    entries_since,
    form,
    listed,
    members,
    newest,
    shown,
)
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("a_quiet_site")]

LIST = reverse("admin:featureflags_segment_by_name", args=["beta"])

EXPORT = reverse("admin:featureflags_segment_by_name_export", args=["beta"])


class TestOne:
    def test_somebody_is_included_with_a_reason_and_an_end(
        self, staff: Client, beta: Segment
    ) -> None:
        user = UserFactory.create(email="ada@agpt.co")
        with override_settings(TIME_ZONE="Europe/Berlin"):
            until = {"expires_at_0": "2999-01-31", "expires_at_1": "12:00:00"}
            saved = staff.post(LIST, form(user=user.pk, reason="VIP", **until), follow=True)
        assert shown(saved) == ["1 membership was changed."]
        member = SegmentMember.objects.get()
        noon = datetime.datetime(2999, 1, 31, 11, tzinfo=datetime.UTC)
        assert (member.kind, member.reason, member.expires_at) == ("include", "VIP", noon)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.source) == (1, "admin")
        log = LogEntry.objects.latest("pk").get_change_message()
        assert log == "Members by name: 1 added, 0 removed."

    def test_who_is_there_already_is_changed(self, staff: Client, beta: Segment) -> None:
        member = SegmentMemberFactory.create(segment=beta, user__email="ada@agpt.co")
        created = member.created_at
        staff.post(LIST, form(user=user_of(member).pk, kind="exclude"), follow=True)
        assert members() == {"ada@agpt.co": "exclude"}
        member.refresh_from_db()
        assert member.created_at == created
        same = staff.post(LIST, form(user=user_of(member).pk, kind="exclude"), follow=True)
        assert shown(same) == ["Nothing has changed: all of it was stored already."]

    def test_a_problem_is_shown_at_its_field(self, staff: Client, beta: Segment) -> None:
        past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
        page = staff.post(LIST, form(user="nobody", kind="maybe", **past))
        assert set(page.context["form"].errors) == {"user", "kind", "expires_at"}
        assert not members()

    def test_a_full_segment_shows_a_message(
        self, staff: Client, beta: Segment, settings: Settings
    ) -> None:
        SegmentMemberFactory.create(segment=beta)
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 1}
        page = staff.post(LIST, form(user=UserFactory.create().pk))
        assert "would have 2 members by name; 1 are allowed." in page.content.decode()
        assert len(members()) == 1

    def test_it_asks_first_if_a_flag_uses_the_segment(
        self, staff: Client, beta: Segment, a_quiet_site: FlagFile
    ) -> None:
        a_quiet_site(boolean_flag("new-checkout", rules=[segment_rule("beta")]))
        user = UserFactory.create(email="ada@agpt.co")
        asked = staff.post(LIST, form(user=user.pk, reason="VIP"))
        assert "new-checkout" in reasons(asked)
        back = answer(staff, asked, _back="1")
        assert back.context["form"]["reason"].value() == "VIP"
        assert f'<option value="{user.pk}" selected>' in back.content.decode()
        assert not members()
        answer(staff, asked, note="Asked for it")
        assert members() == {"ada@agpt.co": "include"}
        assert HistoryEntry.objects.latest("pk").note == "Asked for it"

    def test_the_chosen_are_removed_as_one_change(self, staff: Client, beta: Segment) -> None:
        gone = SegmentMemberFactory.create_batch(3, segment=beta)
        SegmentMemberFactory.create(segment=beta, user__email="stays@example.com")
        before = newest()
        chosen = [str(member.user_id) for member in gone]
        staff.post(LIST, {"_remove": "1", "user": [*chosen, "nonsense"]})
        assert members() == {"stays@example.com": "include"}
        (entry,) = entries_since(before)
        assert (entry.leaving, entry.members.count()) == (3, 3)
        assert User.objects.filter(pk__in=chosen).count() == 3
        assert staff.post(LIST, {"_remove": "1"}).status_code == 302

    def test_who_was_chosen_stays_chosen_after_back(
        self, staff: Client, beta: Segment, a_quiet_site: FlagFile
    ) -> None:
        a_quiet_site(boolean_flag("new-checkout", rules=[segment_rule("beta")]))
        first, _other = SegmentMemberFactory.create_batch(2, segment=beta)
        address = f"{LIST}?kind=include"
        asked = staff.post(address, {"_remove": "1", "user": [str(first.user_id)]})
        back = answer(staff, asked, _back="1")
        assert back["Location"] == address
        assert staff.get(address).context["chosen"] == {str(first.user_id)}
        assert f'value="{first.user_id}" checked' not in staff.get(address).content.decode()
        answer(staff, asked, _back="1")
        page = staff.get(address).content.decode()
        assert (page.count(f'value="{first.user_id}" checked'), page.count(" checked")) == (1, 1)


class TestList:
    def test_it_shows_who_is_in_and_out_until_when_and_why(
        self, staff: Client, beta: Segment
    ) -> None:
        hour = datetime.timedelta(hours=1)
        SegmentMemberFactory.create(segment=beta, user__email="a@x.io", reason="<VIP>")
        SegmentMemberFactory.create(segment=beta, user__email="b@x.io", kind="exclude")
        over = SegmentMemberFactory.create(segment=beta, user__email="c@x.io")
        SegmentMember.objects.filter(pk=over.pk).update(expires_at=timezone.now() - hour)
        page = staff.get(LIST)
        rows = [(row.title, row.is_included, row.is_over) for row in page.context["rows"]]
        assert rows == [
            ("a@x.io", True, False),
            ("b@x.io", False, False),
            ("c@x.io", True, True),
        ]
        text = page.content.decode()
        assert "Included beats excluded, and excluded beats the rules." in text
        assert "&lt;VIP&gt;" in text
        assert "delete" not in text.lower().replace("deleted segments", "")
        counts = page.context["counts"]
        assert (counts.included, counts.excluded, counts.ended) == (1, 1, 1)

    def test_it_is_searched_and_filtered(self, staff: Client, beta: Segment) -> None:
        ada = SegmentMemberFactory.create(segment=beta, user__email="ada@x.io", user__name="Ada")
        SegmentMemberFactory.create(segment=beta, user__email="bob@x.io", kind="exclude")

        def found(**query: str) -> list[str]:
            return [row.title for row in staff.get(LIST, query).context["rows"]]

        assert found(q="ADA") == ["ada@x.io"]
        assert found(q=str(ada.user_id)) == ["ada@x.io"]
        assert found(kind="exclude") == ["bob@x.io"]
        assert found(kind="nonsense", q="x.io") == ["ada@x.io", "bob@x.io"]

    def test_the_segments_own_page_has_the_numbers_and_a_form(
        self, staff: Client, beta: Segment
    ) -> None:
        SegmentMemberFactory.create(segment=beta, kind="exclude")
        page = staff.get(reverse("admin:featureflags_segment_change", args=[beta.pk]))
        assert page.context["by_name"].excluded == 1
        text = page.content.decode()
        assert 'name="by_name-user"' in text
        assert "Included beats excluded, and excluded beats the rules." in text
        assert "In the time zone UTC." in text
        assert text.count("admin/js/vendor/jquery/jquery") == 1

    def test_thousands_of_members_cost_the_page_as_much_as_five(
        self, staff: Client, beta: Segment
    ) -> None:
        pages = (LIST, reverse("admin:featureflags_segment_change", args=[beta.pk]))

        def queries() -> list[int]:
            counts = []
            for page in pages:
                with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                    answered = staff.get(page)
                assert len(answered.content) < 100_000
                counts.append(len(captured))
            return counts

        queries()
        SegmentMemberFactory.create_batch(5, segment=beta)
        few = queries()
        users = User.objects.bulk_create(User(email=f"m{n}@example.com") for n in range(3_000))
        SegmentMember.objects.bulk_create(SegmentMember(segment=beta, user=user) for user in users)
        assert queries() == few
        assert len(staff.get(LIST, {"p": 61}).context["rows"]) == 5


class TestExport:
    def rows(self, response: Any) -> list[dict[str, str]]:
        text = b"".join(response.streaming_content).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    def test_what_goes_out_comes_in_again(self, staff: Client, beta: Segment) -> None:
        soon = timezone.now().replace(microsecond=0) + datetime.timedelta(days=3)
        SegmentMemberFactory.create(
            segment=beta, user__email="ada@x.io", user__name="=cmd()", reason="+1", expires_at=soon
        )
        SegmentMemberFactory.create(segment=beta, user__email="bob@x.io", kind="exclude")
        response: Any = staff.post(EXPORT)
        assert response["Content-Disposition"].startswith('attachment; filename="beta-by-name-')
        content = b"".join(response.streaming_content)
        (ada, bob) = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        assert (ada["name"], ada["reason"], bob["kind"]) == ("'=cmd()", "'+1", "exclude")
        kept = list(
            SegmentMember.objects.order_by("user__email").values_list(
                "user", "kind", "reason", "expires_at"
            )
        )
        SegmentMember.objects.all().delete()
        file = SimpleUploadedFile("beta.csv", content)
        staff.post(IMPORT, form(file=file, missing="all"))
        rows = SegmentMember.objects.order_by("user__email")
        assert list(rows.values_list("user", "kind", "reason", "expires_at")) == kept

    def test_it_is_filtered_streamed_and_logged(self, staff: Client, beta: Segment) -> None:
        SegmentMemberFactory.create(segment=beta, user__email="ada@x.io")
        SegmentMemberFactory.create(segment=beta, user__email="bob@x.io", kind="exclude")
        response = staff.post(EXPORT, {"kind": "exclude"})
        assert response.streaming
        assert [row["email"] for row in self.rows(response)] == ["bob@x.io"]
        assert "Exported" in LogEntry.objects.latest("pk").get_change_message()
        assert staff.get(EXPORT).status_code == 405


class TestPermissions:
    def as_group(self, client: Client, *names: str) -> Client:
        user = UserFactory.create(staff=True)
        user.groups.set(Group.objects.filter(name__in=names))
        client.force_login(user)
        return client

    def test_a_viewer_looks_and_exports_and_changes_nothing(
        self, client: Client, beta: Segment
    ) -> None:
        member = SegmentMemberFactory.create(segment=beta)
        viewer = self.as_group(client, "segment viewer")
        text = viewer.get(LIST).content.decode()
        assert user_of(member).email in text
        assert "Include or exclude" not in text
        assert "_remove" not in text
        assert viewer.post(EXPORT).status_code == 200
        assert viewer.get(IMPORT).status_code == 403
        assert viewer.post(IMPORT, listed("a@x.io")).status_code == 403
        user = UserFactory.create()
        assert viewer.post(LIST, form(user=user.pk)).status_code == 403
        remove = {"_remove": "1", "user": str(member.user_id)}
        assert viewer.post(LIST, remove).status_code == 403
        assert SegmentMember.objects.count() == 1
        page = viewer.get(reverse("admin:featureflags_segment_change", args=[beta.pk]))
        assert "member_form" not in page.context

    def test_an_editor_may(self, client: Client, beta: Segment) -> None:
        editor = self.as_group(client, "segment editor")
        assert editor.post(LIST, form(user=UserFactory.create().pk)).status_code == 302
        assert SegmentMember.objects.count() == 1

    def test_nobody_else_sees_anything(self, client: Client, beta: Segment) -> None:
        stranger = self.as_group(client)
        assert {stranger.get(page).status_code for page in (LIST, IMPORT)} == {403}
        assert stranger.post(EXPORT).status_code == 403
        client.logout()
        assert {client.get(page).status_code for page in (LIST, IMPORT)} == {302}

    def test_an_unknown_segment(self, staff: Client) -> None:
        assert {staff.get(page).status_code for page in (LIST, IMPORT)} == {404}
        assert staff.post(EXPORT).status_code == 404
