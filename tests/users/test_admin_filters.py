"""The filters of the list of users."""

from __future__ import annotations

import datetime

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.users.admin_pages import LIST
from users.models import User

pytestmark = pytest.mark.django_db


class TestFilters:
    def shown(self, client: Client, **query: str) -> list[str]:
        response = client.get(LIST, query)
        assert response.status_code == 200
        users: list[User] = list(response.context["cl"].result_list)
        return [user.email.partition("@")[0] for user in users if user.email != "staff@example.com"]

    def test_by_segment(self, staff: Client) -> None:
        UserFactory.create(email="in@example.com", metadata={"plan": "pro"})
        UserFactory.create(email="out@example.com")
        SegmentFactory.create(
            key="pro", name="Pros", rules=[rule(clause("custom_plan", "in", "pro"))]
        )
        assert "?segment=pro" in staff.get(LIST).content.decode()
        assert self.shown(staff, segment="pro") == ["in"]
        assert self.shown(staff, segment="pro", q="out") == []
        assert self.shown(staff, segment="gone") == []

    def test_many_segments_are_a_drop_down_that_keeps_the_other_filters(
        self, staff: Client
    ) -> None:
        SegmentFactory.create_batch(20)
        query = {"segment": "employee", "role__exact": "user", "q": "<a>"}
        page = staff.get(LIST, query).content.decode()
        assert '<option value="employee" selected>Employees (employee)</option>' in page
        form = page.partition('aria-label="By segment"')[0].rpartition("<form")[2]
        assert '<input type="hidden" name="role__exact" value="user">' in form
        assert '<input type="hidden" name="q" value="&lt;a&gt;">' in form
        assert 'name="segment"' not in form.replace('<select name="segment"', "")

    def test_without_permission_for_segments_the_filter_is_missing(self, client: Client) -> None:
        viewer = UserFactory.create(staff=True, email="staff@example.com")
        viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
        client.force_login(viewer)
        UserFactory.create(email="out@example.com")
        assert "By segment" not in client.get(LIST).content.decode()
        assert self.shown(client, segment="employee") == ["out"]

    def test_by_role_and_verified(self, staff: Client) -> None:
        UserFactory.create(email="a@example.com", role="system")
        UserFactory.create(email="b@example.com", email_verified=False)
        assert self.shown(staff, role__exact="system") == ["a"]
        assert self.shown(staff, email_verified__exact="0") == ["b"]

    def test_by_last_seen_in_days_of_the_site(self, staff: Client, settings: Settings) -> None:
        settings.TIME_ZONE = "Pacific/Auckland"
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        moment = datetime.timedelta(seconds=1)

        def seen(name: str, at: datetime.datetime | None) -> None:
            UserFactory.create(email=f"{name}@example.com", last_seen_at=at)

        def ago(days: int) -> datetime.datetime:
            day = timezone.localdate() - datetime.timedelta(days=days)
            return timezone.make_aware(datetime.datetime.combine(day, datetime.time.min))

        seen("today", midnight)
        seen("yesterday", midnight - moment)
        seen("week", ago(7))
        seen("month", ago(30))
        seen("longer", ago(30) - moment)
        seen("never", None)
        assert self.shown(staff, seen="today") == ["today"]
        assert self.shown(staff, seen="7") == ["today", "week", "yesterday"]
        assert self.shown(staff, seen="30") == ["month", "today", "week", "yesterday"]
        assert self.shown(staff, seen="longer") == ["longer"]
        assert self.shown(staff, seen="never") == ["never"]
        assert len(self.shown(staff, seen="odd")) == 6

    def test_they_cost_the_same_for_any_number(self, staff: Client) -> None:
        def queries() -> int:
            staff.get(LIST)
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                staff.get(LIST, {"segment": "user", "seen": "never"})
            return len(captured)

        SegmentFactory.create_batch(5)
        UserFactory.create_batch(5)
        few = queries()
        SegmentFactory.create_batch(20)
        UserFactory.create_batch(20)
        assert queries() == few
