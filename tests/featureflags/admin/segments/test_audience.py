"""Everybody who is in a segment: the list, its filters, and the export."""

from __future__ import annotations

import csv
import datetime
import io
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from cachalot.api import cachalot_disabled
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import AsyncRequestFactory, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.admin.segments import audience
from featureflags.admin.streaming import csv_response, harmless
from featureflags.audience.stored_sizes import count_everything
from featureflags.models import Segment
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from users.models import User

pytestmark = pytest.mark.django_db

LIST = reverse("admin:featureflags_segment_members", args=["pro"])
EXPORT = reverse("admin:featureflags_segment_export", args=["pro"])
VIEWER = ("view_segment", "view_user")


@pytest.fixture
def viewer(client: Client) -> Client:
    user = UserFactory.create(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=VIEWER))
    client.force_login(user)
    return client


@pytest.fixture
def pro() -> Segment:
    described = rule(clause("custom_plan", "in", "pro"), description="Pays for it")
    segment: Segment = SegmentFactory.create(key="pro", name="Pros", rules=[described])
    return segment


def member(name: str, /, **fields: Any) -> User:
    return UserFactory.create(email=f"{name}@example.com", metadata={"plan": "pro"}, **fields)


def shown(response: Any) -> list[str]:
    assert response.status_code == 200
    return [row.title.partition("@")[0] for row in response.context["rows"]]


def exported(response: Any) -> list[list[str]]:
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


class TestList:
    def test_who_is_in_it_and_on_which_way(self, viewer: Client, pro: Segment) -> None:
        ada = member("ada", name="Ada")
        ends = timezone.now() + datetime.timedelta(days=3)
        SegmentMemberFactory.create(
            segment=pro, user=UserFactory.create(email="bob@example.com"), expires_at=ends
        )
        UserFactory.create()
        response = viewer.get(LIST)
        assert shown(response) == ["ada", "bob"]
        first, second = response.context["rows"]
        assert first.how == "Rule 1: Pays for it"
        assert second.how.startswith("By name until ")
        page = response.content.decode()
        why = reverse("admin:featureflags_why_segment", args=["pro", ada.pk])
        assert f'href="{why}"' in page
        assert f'href="{reverse("admin:featureflags_usercontext", args=[ada.pk])}"' in page
        assert 'type="checkbox"' not in page
        assert "delete" not in page

    def test_the_stored_size_and_no_count(self, viewer: Client, pro: Segment) -> None:
        assert "Not counted yet." in viewer.get(LIST).content.decode()
        member("ada")
        count_everything()
        member("bob")
        assert "<strong>1</strong> user. Counted" in viewer.get(LIST).content.decode()

    def test_pages_are_turned_by_keys(
        self, viewer: Client, pro: Segment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audience, "PAGE_SIZE", 2)
        users = {name: member(name) for name in "abcde"}
        first = viewer.get(LIST, {"q": "example", "how": "rules", "entered": ""})
        assert shown(first) == []
        first = viewer.get(LIST, {"how": "rules"})
        assert (shown(first), first.context["previous"]) == (["a", "b"], "")
        assert first.context["next"] == f"?how=rules&after={users['b'].pk}"
        second = viewer.get(LIST + first.context["next"])
        assert shown(second) == ["c", "d"]
        assert second.context["previous"] == f"?how=rules&before={users['c'].pk}"
        last = viewer.get(LIST + second.context["next"])
        assert (shown(last), last.context["next"]) == (["e"], "")
        back = viewer.get(LIST + last.context["previous"])
        assert shown(back) == ["c", "d"]
        assert "@" not in first.context["next"] + last.context["previous"]

    def test_filters(self, viewer: Client, pro: Segment) -> None:
        member("ada", name="Ada Adler")
        member("new", created_at=timezone.now() - datetime.timedelta(days=2))
        SegmentMemberFactory.create(segment=pro, user=UserFactory.create(email="by@example.com"))
        assert shown(viewer.get(LIST, {"q": "adler"})) == ["ada"]
        assert shown(viewer.get(LIST, {"how": "name"})) == ["by"]
        response = viewer.get(LIST, {"entered": "7"})
        assert shown(response) == ["by", "new"]
        assert "Earlier values of other attributes, such as a plan" in response.content.decode()
        assert "Nobody matches." in viewer.get(LIST, {"q": "nobody"}).content.decode()

    @pytest.mark.parametrize(
        "query",
        [
            {"how": "magic"},
            {"entered": "1000"},
            {"entered": "x"},
            {"after": "no-key"},
            {"before": "00000000-0000-0000-0000-000000000000"},
        ],
    )
    def test_an_invalid_filter_is_ignored(
        self, viewer: Client, pro: Segment, query: dict[str, str]
    ) -> None:
        member("ada")
        assert shown(viewer.get(LIST, query)) == ["ada"]

    def test_a_text_that_no_database_stores_is_refused(self, viewer: Client, pro: Segment) -> None:
        assert viewer.get(LIST, {"q": "\x00"}).status_code == 400

    def test_an_inactive_segment(self, viewer: Client, pro: Segment) -> None:
        member("ada")
        Segment.objects.filter(pk=pro.pk).update(is_active=False)
        response = viewer.get(LIST)
        assert shown(response) == []
        assert "The segment is not active: nobody is in it." in response.content.decode()

    def test_time_that_is_up_is_said(
        self, viewer: Client, pro: Segment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audience, "SECONDS", 0.0)
        SegmentFactory.create(
            key="odd", rules=[rule(clause("custom_plan", "matches", "^(?i:PRO)$"))]
        )
        UserFactory.create_batch(3)
        address = reverse("admin:featureflags_segment_members", args=["odd"])
        assert viewer.get(address).status_code == 200

    def test_25_cost_as_much_as_5(self, viewer: Client, pro: Segment) -> None:
        def queries() -> int:
            viewer.get(LIST)
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                viewer.get(LIST)
            return len(captured)

        for number in range(5):
            member(f"a{number}")
        few = queries()
        for number in range(20):
            member(f"b{number}")
        assert queries() == few


class TestExport:
    def test_all_of_them_with_how_and_when(self, viewer: Client, pro: Segment) -> None:
        created = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
        ada = member("ada", name="Ada", created_at=created)
        for number in range(60):
            member(f"b{number:02}")
        header, first, *others = exported(viewer.post(EXPORT))
        assert header == ["key", "email", "name", "role", "created_at", "last_seen_at", "in_by"]
        assert first == [
            str(ada.pk),
            "ada@example.com",
            "Ada",
            "user",
            "2026-05-01T12:00:00Z",
            "",
            "Rule 1: Pays for it",
        ]
        assert len(others) == 60

    def test_as_filtered(self, viewer: Client, pro: Segment) -> None:
        member("ada")
        member("bob")
        rows = exported(viewer.post(EXPORT, {"q": "bob", "how": "", "entered": ""}))
        assert [row[1] for row in rows[1:]] == ["bob@example.com"]

    def test_it_is_read_as_it_is_sent(self, viewer: Client, pro: Segment) -> None:
        for number in range(3):
            member(f"a{number}")
        response = viewer.post(EXPORT)
        assert response.streaming
        with CaptureQueriesContext(connection) as captured:
            exported(response)
        assert any("users_user" in query["sql"] for query in captured)
        assert response.headers["Content-Disposition"] == (
            f'attachment; filename="pro-{timezone.localdate().isoformat()}.csv"'
        )

    @pytest.mark.parametrize(
        "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x","y")']
    )
    def test_a_spreadsheet_reads_no_cell_as_a_formula(
        self, viewer: Client, pro: Segment, name: str
    ) -> None:
        member("ada", name=name)
        [_header, row] = exported(viewer.post(EXPORT))
        assert row[2] == f"'{name}"

    def test_harmless_cells_stay(self) -> None:
        assert [harmless(cell) for cell in ("", "Ada", "a=1", "1-1")] == ["", "Ada", "a=1", "1-1"]

    def test_an_export_is_logged_with_its_user(self, viewer: Client, pro: Segment) -> None:
        viewer.post(EXPORT)
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.change_message) == (str(pro.pk), "Exported who is in it.")
        viewer.get(LIST)
        assert LogEntry.objects.count() == 1

    def test_only_a_post_exports(self, viewer: Client, pro: Segment) -> None:
        assert viewer.get(EXPORT).status_code == 405

    def test_it_needs_a_csrf_token(self, pro: Segment) -> None:
        careful = Client(enforce_csrf_checks=True)
        careful.force_login(UserFactory.create(superuser=True))
        assert careful.post(EXPORT).status_code == 403

    def test_an_asgi_server_gets_it_piece_by_piece(self) -> None:
        async def read() -> list[bytes]:
            rows = ([str(number)] for number in range(1_200))
            response = csv_response(AsyncRequestFactory().get("/"), "x.csv", ["n"], rows)
            assert response.is_async
            return [chunk async for chunk in response.streaming_content]  # type: ignore[union-attr]

        chunks = async_to_sync(read)()
        assert len(chunks) == 4
        assert b"".join(chunks).decode().split() == ["\ufeffn", *map(str, range(1_200))]


@pytest.mark.parametrize("missing", VIEWER)
def test_both_permissions_are_needed(client: Client, pro: Segment, missing: str) -> None:
    user = UserFactory.create(staff=True)
    wanted = [codename for codename in VIEWER if codename != missing]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(user)
    assert client.get(LIST).status_code == 403
    assert client.post(EXPORT).status_code == 403


def test_strangers_are_sent_to_the_login(client: Client, pro: Segment) -> None:
    assert "/admin/login/" in client.get(LIST).headers["Location"]
    assert "/admin/login/" in client.post(EXPORT).headers["Location"]


def test_an_unknown_segment_is_not_found(viewer: Client) -> None:
    assert viewer.get(LIST).status_code == 404
    assert viewer.post(EXPORT).status_code == 404


def test_the_segment_s_page_leads_there(viewer: Client, pro: Segment, settings: Settings) -> None:
    page = viewer.get(reverse("admin:featureflags_segment_change", args=[pro.pk]))
    assert f'href="{LIST}"' in page.content.decode()
