"""Counting how many users get each value of a flag."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from featureflags.inspection import variation_counts
from featureflags.models import FlagCount
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.admin.flags.pages import as_one_who_may, counting, page_of
from tests.services.flag_json import boolean_flag, rollout, segment_rule

pytestmark = pytest.mark.django_db


class TestCounts:
    @pytest.fixture(autouse=True)
    def flags(self, flag_file: FlagFile) -> None:
        flag_file(
            boolean_flag("beta", rules=[segment_rule("employee")]),
            boolean_flag("half", fallthrough=rollout(50_000, 50_000)),
        )
        UserFactory.create_batch(3)
        UserFactory.create(employee=True)

    def test_a_sample_of_a_few_is_everybody(self, viewer: Client) -> None:
        assert "Not counted yet." in viewer.get(page_of("beta")).content.decode()
        response = viewer.post(counting("beta"), {"how": "sample"}, follow=True)
        count = response.context["count"]
        assert count.headline.startswith("All 5 users, ")
        assert [(row.value, row.users, row.share) for row in count.rows] == [
            ("false", "4", "80.0 %"),
            ("true", "1", "20.0 %"),
        ]
        assert count.rows[1].ways == ("rule 1: 1",)
        assert "<svg" in count.rows[0].chart
        assert FlagCount.objects.get().started_by is not None

    def test_a_sample_shows_its_margin_of_error(
        self, viewer: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(variation_counts, "SAMPLE", 2)
        viewer.post(counting("half"), {"how": "sample"})
        count = viewer.get(page_of("half")).context["count"]
        assert count.headline.startswith("A random sample of ")
        assert all("between" in row.share for row in count.rows)

    def test_everybody_by_a_task(self, client: Client) -> None:
        editor = as_one_who_may(client, "view_segment", "change_segment")
        response = editor.post(counting("beta"), {"how": "everybody"})
        assert response.headers["Location"] == f"{page_of('beta')}#count"
        count = FlagCount.objects.get()
        assert (count.state, count.users_counted) == (FlagCount.State.DONE, count.users_planned)

    def test_progress_going_on_and_cancelling(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(variation_counts, "BATCH", 2)
        monkeypatch.setattr(variation_counts, "SECONDS_WAITED", 0.0)
        editor = as_one_who_may(client, "view_segment", "change_segment")
        response = editor.post(counting("beta"), {"how": "everybody"}, follow=True)
        assert response.context["count"].percent == 40
        page = response.content.decode()
        assert '<progress max="100" value="40"' in page
        assert "The count has stopped." in page
        assert "live.js" not in page
        FlagCount.objects.update(lease_until=timezone.now() + variation_counts.LEASE)
        page = editor.get(page_of("beta")).content.decode()
        assert "live.js" in page
        assert 'data-ended="false"' in page
        assert "Go on" not in page
        FlagCount.objects.update(lease_until=None)
        response = editor.post(counting("beta"), {"how": "continue"}, follow=True)
        assert response.context["count"].percent == 80
        response = editor.post(counting("beta"), {"how": "cancel"}, follow=True)
        assert response.context["count"].state == "Cancelled"
        assert response.context["count"].headline.startswith("4 of 5 users counted, until")

    def test_two_do_not_count_one_flag(self, viewer: Client) -> None:
        variation_counts.begin("beta")
        response = viewer.post(counting("beta"), {"how": "sample"}, follow=True)
        assert "This flag is being counted already." in response.content.decode()

    def test_what_failed_is_said(self, viewer: Client) -> None:
        count = variation_counts.begin("beta")
        FlagCount.objects.filter(pk=count.pk).update(
            state=FlagCount.State.FAILED,
            error=variation_counts.NO_FLAGS,
            finished_at=timezone.now(),
        )
        shown = viewer.get(page_of("beta")).context["count"]
        assert shown.notes == ("It failed: LaunchDarkly has not sent any flags.",)
        assert shown.rows == ()

    def test_a_change_since_is_said(self, viewer: Client) -> None:
        viewer.post(counting("beta"), {"how": "sample"})
        FlagCount.objects.update(flag_version=99, has_changed=True)
        notes = viewer.get(page_of("beta")).context["count"].notes
        assert len(notes) == 2
        assert notes[1] == "The flag has changed since."

    @pytest.mark.parametrize("how", ["everybody", "continue", "cancel"])
    def test_to_count_everybody_takes_the_permission_to_change_segments(
        self, viewer: Client, how: str
    ) -> None:
        assert viewer.post(counting("beta"), {"how": how}).status_code == 403
        assert not FlagCount.objects.exists()
        assert "Count everybody" not in viewer.get(page_of("beta")).content.decode()

    def test_only_a_post_counts(self, viewer: Client) -> None:
        assert viewer.get(counting("beta")).status_code == 405
        assert viewer.post(counting("nowhere"), {"how": "sample"}).status_code == 404
