"""The pages of LaunchDarkly's flags: what they are, which users get which value, and how many."""

from __future__ import annotations

from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.admin.flags import list as flags_admin
from featureflags.admin.flags.detail import launchdarkly_address
from featureflags.audience.stored_sizes import count_everything
from featureflags.cache import counters
from featureflags.evaluation import is_enabled
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory
from tests.featureflags.admin.flags.pages import as_one_who_may, counting, page_of
from tests.services.flag_json import boolean_flag, prerequisite, segment_rule, string_flag
from tests.services.flag_json import clause as flag_clause
from tests.services.flag_json import rule as flag_rule
from tests.services.launchdarkly_api import LaunchDarklyApiServer

pytestmark = pytest.mark.django_db

LIST = reverse("admin:featureflags_flags")


def rows(response: Any) -> dict[str, Any]:
    assert response.status_code == 200
    return {row.link.text: row for row in response.context["rows"]}


class TestLinks:
    def test_to_the_flag_in_launchdarkly(
        self, viewer: Client, flag_file: FlagFile, settings: Settings
    ) -> None:
        flag_file(boolean_flag("beta"))
        assert "app.launchdarkly.com" not in viewer.get(page_of("beta")).content.decode()
        there = {"PROJECT": "default", "ENVIRONMENT": "test & co"}
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **there}
        page = viewer.get(page_of("beta"))
        assert page.context["launchdarkly"] == (
            "https://app.launchdarkly.com/projects/default/flags/beta/targeting"
            "?env=test+%26+co&selected-env=test+%26+co"
        )
        assert "Open it in LaunchDarkly" in page.content.decode()
        # LaunchDarkly does not have a flag that is only declared.
        assert viewer.get(page_of("welcome-tour")).context["launchdarkly"] == ""

    @pytest.mark.parametrize(
        ("there", "flag", "wanted"),
        [
            ({"PROJECT": "a/b?c#d"}, "x y", "/projects/a%2Fb%3Fc%23d/flags/x%20y/targeting?env=e&"),
            ({}, "a/../b", "/projects/p/flags/a%2F..%2Fb/targeting?"),
            ({"ENVIRONMENT": "x&y=z#"}, "beta", "?env=x%26y%3Dz%23&selected-env=x%26y%3Dz%23"),
            # A browser reads these as steps, and would open another page.
            ({}, "..", ""),
            ({"PROJECT": ".."}, "beta", ""),
            ({"API_URL": "javascript:alert(1)//"}, "beta", ""),
            ({"ENVIRONMENT": ""}, "beta", ""),
        ],
    )
    def test_keys_are_quoted(
        self, settings: Settings, there: dict[str, str], flag: str, wanted: str
    ) -> None:
        given = {"PROJECT": "p", "ENVIRONMENT": "e", **there}
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
        address = launchdarkly_address(flag)
        assert wanted in address
        assert bool(address) is bool(wanted)

    def test_to_the_page_of_testers(
        self, viewer: Client, flag_file: FlagFile, settings: Settings
    ) -> None:
        flag_file(boolean_flag("beta"))
        address = reverse("admin:featureflags_testing")
        for page in (LIST, page_of("beta")):
            assert address not in viewer.get(page).content.decode()
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTERS": True}
        for page in (LIST, page_of("beta")):
            assert address in viewer.get(page).content.decode()


class TestList:
    def test_what_each_flag_is(self, viewer: Client, flag_file: FlagFile) -> None:
        segment = SegmentFactory.create(key="crew")
        flag_file(
            boolean_flag("beta", rules=[segment_rule("crew", "gone")]),
            boolean_flag("asleep", on=False),
        )
        response = viewer.get(LIST)
        found = rows(response)
        beta = found["beta"]
        assert (beta.is_on, beta.is_declared, beta.more) == (True, False, 0)
        assert beta.targeting == (
            'rule 1: segments is any of "crew" or "gone" → true',
            "everybody else → false",
        )
        crew, gone = beta.segments
        assert crew.href == reverse("admin:featureflags_segment_change", args=[segment.pk])
        assert (gone.text, gone.href) == ("gone", "")
        assert (found["asleep"].is_on, found["asleep"].targeting) == (
            False,
            ("everybody → false",),
        )
        missing = found["welcome-tour"]
        assert (missing.is_on, missing.is_declared, missing.targeting) == (None, True, ())
        page = response.content.decode()
        assert "not in Django" in page
        assert f'href="{page_of("beta")}"' in page
        assert " style=" not in page

    def test_long_targeting_is_cut(self, viewer: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", rules=[segment_rule(f"s{n}") for n in range(5)]))
        beta = rows(viewer.get(LIST))["beta"]
        assert (len(beta.targeting), beta.more) == (3, 3)

    def test_how_often_it_was_evaluated(self, viewer: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        assert "No evaluation has been counted yet." in viewer.get(LIST).content.decode()
        for _ in range(3):
            is_enabled("beta", anonymous_key="x")
        counters.flush()
        response = viewer.get(LIST)
        assert rows(response)["beta"].evaluated.endswith(", 3 times")
        assert rows(response)["welcome-tour"].evaluated == ""
        assert "Evaluations since" in response.content.decode()

    def test_the_last_change_is_shown_with_an_api_token(
        self, viewer: Client, flag_file: FlagFile, settings: Settings
    ) -> None:
        flag_file(boolean_flag("beta"), boolean_flag("older"))
        response = viewer.get(LIST)
        assert rows(response)["beta"].changed == ""
        page = response.content.decode()
        assert "when a flag last changed: Not set: LAUNCHDARKLY_API_TOKEN" in page
        assert "The flags held here last changed" in page
        with LaunchDarklyApiServer() as api:
            settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **api.settings}
            here = {"version": 1, "lastModified": 1_750_000_000_000}
            older = {**here, "version": 0}
            api.flags = {
                "beta": {"key": "beta", "environments": {api.environment: here}},
                "older": {"key": "older", "environments": {api.environment: older}},
            }
            found = rows(viewer.get(LIST))
        assert found["beta"].changed == "June 15, 2025, 3:06 p.m. (UTC)"
        assert found["older"].changed == "after June 15, 2025, 3:06 p.m. (UTC)"

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"q": "BET"}, {"beta"}),
            ({"q": "tour"}, {"welcome-tour"}),
            ({"state": "on"}, {"beta", "accent-colour"}),
            ({"state": "off"}, {"asleep"}),
            ({"state": "undeclared"}, {"asleep", "beta"}),
            ({"state": "missing"}, {"internal-tools", "new-checkout", "welcome-tour"}),
            ({"state": "odd", "q": "asl"}, {"asleep"}),
        ],
    )
    def test_search_and_filter(
        self, viewer: Client, flag_file: FlagFile, query: dict[str, str], expected: set[str]
    ) -> None:
        flag_file(
            boolean_flag("beta"),
            boolean_flag("asleep", on=False),
            string_flag("accent-colour", ("red",)),
        )
        assert set(rows(viewer.get(LIST, query))) == expected

    def test_pages(
        self, viewer: Client, flag_file: FlagFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flags_admin, "PAGE_SIZE", 2)
        flag_file(*(boolean_flag(f"flag-{n}") for n in range(3)))
        first = viewer.get(LIST, {"q": "flag-"})
        assert set(rows(first)) == {"flag-0", "flag-1"}
        assert "?q=flag-&amp;state=&amp;page=2" in first.content.decode()
        assert set(rows(viewer.get(LIST, {"q": "flag-", "page": "2"}))) == {"flag-2"}
        assert set(rows(viewer.get(LIST, {"q": "flag-", "page": "x"}))) == {"flag-0", "flag-1"}

    def test_a_message_where_there_are_no_flags(self, viewer: Client, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": "/nowhere.json"}
        page = viewer.get(LIST).content.decode()
        assert "LaunchDarkly has not sent any flags." in page

    def test_25_cost_as_much_as_5(self, viewer: Client, flag_file: FlagFile) -> None:
        def queries(number: int) -> int:
            SegmentFactory.create_batch(number)
            flag_file(
                *(boolean_flag(f"f{n}", rules=[segment_rule(f"s{n}")]) for n in range(number))
            )
            viewer.get(LIST)
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                viewer.get(LIST)
            return len(captured)

        assert queries(5) == queries(25)


class TestPage:
    def test_rules_segments_and_facts(self, viewer: Client, flag_file: FlagFile) -> None:
        segment = SegmentFactory.create(key="crew")
        SegmentMemberFactory.create_batch(2, segment=segment)
        count_everything()
        flag_file(
            boolean_flag("first", fallthrough=True),
            boolean_flag(
                "beta", rules=[segment_rule("crew")], prerequisites=[prerequisite("first")]
            ),
        )
        response = viewer.get(page_of("beta"))
        page = response.content.decode()
        assert "rule 1: segments is any of &quot;crew&quot; → true" in page
        assert f'href="{page_of("first")}"' in page
        [row] = response.context["segments"]
        assert (row.members.text, row.is_live) == ("2", True)
        assert row.ways[0].startswith("rule 1, condition 1 of the flag “beta”")
        facts = dict(response.context["facts"])
        assert facts["Declared in code"] == "No"
        assert facts["Values"] == "true, false"
        assert facts["Last evaluated"] == "No evaluation has been counted yet."
        assert facts["Last changed"].startswith("Only LaunchDarkly's REST API knows. Not set")

    def test_what_is_wrong_with_it(self, viewer: Client, flag_file: FlagFile) -> None:
        misleading = flag_rule(flag_clause("segments", "contains", "user"))
        flag_file(boolean_flag("beta", rules=[misleading, segment_rule("gone")]))
        problems = viewer.get(page_of("beta")).context["problems"]
        assert len(problems) == 3
        assert any("is in LaunchDarkly, and not declared here" in text for text in problems)
        assert any("“gone”, which Django does not have" in text for text in problems)
        assert any("matches every segment with such a key" in text for text in problems)

    def test_one_that_is_off_and_one_that_is_missing(
        self, viewer: Client, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("beta", on=False, rules=[segment_rule("crew")]))
        page = viewer.get(page_of("beta")).content.decode()
        assert "Everybody gets false." in page
        assert "if it were on" in page
        assert "It has no effect now" in page
        page = viewer.get(page_of("welcome-tour")).content.decode()
        assert "everybody gets the default in the code" in page
        assert viewer.get(page_of("nowhere")).status_code == 404

    def test_without_the_permission_to_see_users_nobody_is_asked_for(
        self, client: Client, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("beta"))
        page = as_one_who_may(client, "view_segment").get(page_of("beta")).content.decode()
        assert "why-user" not in page
        both = as_one_who_may(client, "view_segment", "view_user")
        assert 'value="flag:beta"' in both.get(page_of("beta")).content.decode()


@pytest.mark.parametrize("address", [LIST, page_of("beta")])
def test_the_permission_to_see_segments_is_needed(
    client: Client, flag_file: FlagFile, address: str
) -> None:
    flag_file(boolean_flag("beta"))
    assert "/admin/login/" in client.get(address).headers["Location"]
    assert as_one_who_may(client, "view_user").get(address).status_code == 403
    assert client.post(counting("beta")).status_code == 403
