"""The dashboard on the admin's first page: stored numbers, for those who may see them."""

from __future__ import annotations

import datetime

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from config.settings.caches import redis_caches
from featureflags.admin.dashboard import answers_part, segments_part, users_part, warm_ups_part
from featureflags.audience.stored_sizes import count_everything
from featureflags.cache import counters
from featureflags.core import outages
from featureflags.evaluation import is_enabled
from featureflags.models import SegmentCount, UserCount, WarmRun
from featureflags.warming.scope import scope_for
from featureflags.warming.worker import warm
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.services.flag_json import boolean_flag
from tests.services.guarded import free_port

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


def page(client: Client) -> str:
    response = client.get(INDEX)
    assert response.status_code == 200
    return str(response.content.decode())


def a_day_ago(days: int) -> datetime.date:
    return timezone.localdate() - datetime.timedelta(days=days)


class TestUsers:
    def test_numbers_and_lines(self, staff: Client) -> None:
        UserFactory.create(last_seen_at=timezone.now())
        count_everything()
        for days, users in ((1, 1), (89, 5), (90, 7)):
            UserCount.objects.create(
                day=a_day_ago(days),
                users=users,
                seen_today=0,
                seen_within_7_days=0,
                seen_within_30_days=0,
                counted_at=timezone.now(),
            )
        found = users_part()
        assert found is not None
        assert [point.value for point in found.by_day] == [5, 1, 2]
        assert (found.users, found.seen_today) == (2, 1)
        shown = page(staff)
        assert "<dt>Users</dt><dd>2</dd>" in shown
        assert "<dt>Seen in 24 hours</dt><dd>1</dd>" in shown
        assert f"{a_day_ago(89)} to {a_day_ago(0)}: between 1 and 5" in shown
        assert f'<th scope="row">{a_day_ago(89)}</th><td>5</td><td>0</td>' in shown

    def test_before_the_first_count(self, staff: Client) -> None:
        assert users_part() is None
        assert "Not counted yet. A scheduled task counts every hour." in page(staff)


class TestSegments:
    def test_the_largest_with_bars_and_trends(self, staff: Client) -> None:
        for key, number in (("few", 1), ("many", 3)):
            SegmentMemberFactory.create_batch(number, segment=SegmentFactory.create(key=key))
        SegmentFactory.create(key="off", is_active=False)
        count_everything()
        SegmentCount.objects.create(segment_key="many", day=a_day_ago(10), at_least=8, at_most=8)
        found = segments_part()
        keys = [line.key for line in found.largest]
        assert keys.index("many") < keys.index("few")
        assert "off" not in keys
        assert found.total == len(keys)
        [many] = [line for line in found.largest if line.key == "many"]
        assert (many.at_least, many.share) == (3, 0.6)
        assert [point.value for point in many.by_day] == [8, 3]
        shown = page(staff)
        assert "3, 60.0 %" in shown
        assert "-5 in 10 days" in shown
        members = reverse("admin:featureflags_segment_members", args=["many"])
        assert f'href="{members}"' in shown

    def test_of_many_the_largest_alone(self, staff: Client) -> None:
        SegmentFactory.create_batch(20)
        count_everything()
        assert len(segments_part().largest) == 12
        assert "and 15 more" in page(staff)

    def test_any_number_of_them_costs_the_same(self, staff: Client) -> None:
        def queries() -> int:
            count_everything()
            page(staff)
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                page(staff)
            statements = [query["sql"] for query in captured]
            assert not [sql for sql in statements if "COUNT(" in sql and '"users_user"' in sql]
            return len(captured)

        few = queries()
        SegmentFactory.create_batch(25)
        UserFactory.create_batch(25)
        assert queries() == few


class TestAnswers:
    @pytest.mark.django_db(transaction=True)
    def test_of_all_processes(self, staff: Client) -> None:
        user = UserFactory.create()
        for _ in range(4):
            is_enabled("beta", str(user.pk))
        is_enabled("welcome-tour", anonymous_key="x")
        counters.flush()
        found = answers_part()
        assert (found.today, found.week, found.degraded) == (5, 5, 1)
        assert found.counted.hit_rate == pytest.approx(0.75)
        shown = page(staff)
        assert "<dt>Evaluations today</dt><dd>5</dd>" in shown
        assert "75.0 % of 4" in shown
        assert "1 × LaunchDarkly has no flag of this key." in shown

    def test_outages_that_are_over(self, staff: Client) -> None:
        assert "<p>None.</p>" in page(staff)
        server = outages.Server("Redis")
        for _ in range(2):
            server.failed(ConnectionError())
            server.answered()
        going_on = outages.Server("Another server")
        going_on.missed(0.1)
        counters.flush()
        shown = page(staff)
        assert "<li>Redis: 2, 2 seconds</li>" in shown
        assert "Another server" not in shown, "it goes on"
        assert "<p>None.</p>" not in shown

    def test_without_a_cache_it_shows_a_message(self, staff: Client, settings: Settings) -> None:
        settings.CACHES = {
            **settings.CACHES,
            "featureflags": redis_caches(f"redis://127.0.0.1:{free_port()}/0")["featureflags"],
        }
        assert "The cache does not answer" in page(staff)


@pytest.mark.django_db(transaction=True)
def test_the_last_cache_warm_ups_with_their_progress(staff: Client) -> None:
    assert "No cache warm-up has run yet." in page(staff)
    UserFactory.create_batch(3)
    for _ in range(4):
        warm(scope_for(None, everyone=True, force=True))
    found = warm_ups_part()
    assert len(found) == 3
    assert (found[0].users, found[0].planned, found[0].percent) == (4, 4, 100)
    run = WarmRun.objects.first()
    assert run is not None
    shown = page(staff)
    assert f'href="{reverse("admin:featureflags_warmrun_change", args=[run.pk])}"' in shown
    assert '<progress max="100" value="100"' in shown
    assert "4 of 4" in shown


class TestPermissions:
    @pytest.mark.parametrize(
        ("codename", "shown"),
        [
            ("view_user", "dashboard-users"),
            ("view_segment", "dashboard-segments"),
            ("view_warmrun", "dashboard-warm-ups"),
        ],
    )
    def test_each_part_for_those_who_may_see_it(
        self, client: Client, codename: str, shown: str
    ) -> None:
        viewer = UserFactory.create(staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename=codename))
        client.force_login(viewer)
        found = page(client)
        parts = {"dashboard-users", "dashboard-segments", "dashboard-warm-ups"}
        assert {part for part in parts if f'id="{part}"' in found} == {shown}
        assert 'id="dashboard-answers"' in found
        assert 'id="launchdarkly-connection"' in found

    def test_without_users_no_list_of_members(self, client: Client) -> None:
        viewer = UserFactory.create(staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_segment"))
        client.force_login(viewer)
        count_everything()
        found = page(client)
        assert "/members/" not in found
        assert "/why/" not in found


def test_it_holds_no_inline_style_and_the_models_stay_below(staff: Client) -> None:
    count_everything()
    shown = page(staff)
    assert " style=" not in shown
    assert "<script>" not in shown
    assert shown.index("dashboard-answers") < shown.index('class="app-featureflags')
