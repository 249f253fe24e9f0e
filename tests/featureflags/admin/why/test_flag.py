"""Why a user gets the value of a flag."""

from __future__ import annotations

from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from featureflags.admin.why.rows import Section
from featureflags.evaluation import override_flag
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.admin.why.pages import ada, why_flag
from tests.services.flag_json import (
    boolean_flag,
    prerequisite,
    rollout,
    segment,
    segment_rule,
    string_flag,
)
from tests.services.flag_json import clause as flag_clause
from tests.services.flag_json import rule as flag_rule
from tests.services.launchdarkly import LaunchDarklyServer

pytestmark = pytest.mark.django_db


def sections(response: Any) -> dict[str, Section]:
    """The sections of a flag's page by their anchor."""
    assert response.status_code == 200
    return {section.anchor: section for section in response.context["sections"]}


class TestFlag:
    def test_the_chain_down_to_the_field(self, viewer: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", rules=[segment_rule("new_user"), segment_rule("employee")]))
        response = viewer.get(why_flag("beta", ada()))
        assert response.context["value"] == "true"
        assert response.context["sentences"][0] == "Rule 2 (rule-employee) matched."
        first, second = response.context["rules"]
        assert (first.state, second.state) == ("failed", "matched")
        assert (first.serves, second.serves) == ("Serves true.", "Serves true.")
        [condition] = second.conditions
        assert condition.held is True
        assert condition.observed == 'segments: ["employee", "established_user", "user"]'
        assert [(link.text, link.href) for link in condition.links] == [
            ("Why in employee?", "#segment-employee")
        ]
        found = sections(response)
        assert found["segment-new_user"].verdict is False
        assert found["segment-employee"].rules[0].conditions[0].observed == (
            'E-mail domain: "agpt.co"'
        )
        page = response.content.decode()
        assert 'id="segment-employee"' in page
        assert "Why is beta true for Ada?" in page

    def test_through_a_segment_of_launchdarkly_and_one_within_a_segment(
        self, viewer: Client, settings: Settings
    ) -> None:
        SegmentFactory.create(key="crew", rules=[rule(clause("", "segmentMatch", "employee"))])
        beta = boolean_flag("beta", rules=[flag_rule(flag_clause("", "segmentMatch", "staff"))])
        with LaunchDarklyServer(beta) as server:
            server.set_segment(segment("staff", rules=[[flag_clause("segments", "in", "crew")]]))
            urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
            settings.FEATUREFLAGS = {
                **settings.FEATUREFLAGS,
                "SDK_KEY": server.sdk_key,
                "START_WAIT": 10.0,
                **urls,
            }
            found = sections(viewer.get(why_flag("beta", ada())))
        assert list(found) == ["launchdarkly-segment-staff", "segment-crew", "segment-employee"]
        staff, crew, employee = found.values()
        assert staff.headline == "Ada is in “staff”: rule 1 matches."
        assert [link.href for link in staff.rules[0].conditions[0].links] == ["#segment-crew"]
        assert [link.href for link in crew.rules[0].conditions[0].links] == ["#segment-employee"]
        assert employee.rules[0].conditions[0].observed == 'E-mail domain: "agpt.co"'

    def test_a_flag_that_is_off(self, viewer: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", on=False, rules=[segment_rule("employee")]))
        response = viewer.get(why_flag("beta", ada()))
        assert response.context["sentences"] == [
            "Targeting is off.",
            "It serves its off value: false.",
        ]
        assert [row.state for row in response.context["rules"]] == ["unasked"]

    def test_a_target(self, viewer: Client, flag_file: FlagFile) -> None:
        user = ada()
        beta = boolean_flag("beta")
        flag_file({**beta, "targets": [{"values": [str(user.pk)], "variation": 0}]})
        response = viewer.get(why_flag("beta", user))
        assert response.context["value"] == "true"
        assert response.context["sentences"] == ["Targeted by key."]

    def test_the_default_rule_and_the_place_in_a_rollout(
        self, viewer: Client, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("beta", fallthrough=rollout(30_000, 70_000)))
        for _ in range(4):
            response = viewer.get(why_flag("beta", UserFactory.create()))
            none, shares, place = response.context["sentences"]
            assert none == "No rule matched: the default rule."
            assert shares == "The default rule serves 30 % true, 70 % false, by key."
            percent = float(place.removeprefix("This user falls at ").partition(" %")[0])
            assert response.context["value"] == ("true" if percent < 30 else "false")
            assert place.endswith(f" %: {response.context['value']}.")

    def test_a_rollout_by_segments_is_reported_as_ineffective(
        self, viewer: Client, flag_file: FlagFile
    ) -> None:
        served = rollout(30_000, 70_000, bucket_by="segments")
        flag_file(boolean_flag("beta", fallthrough=served))
        sentences = viewer.get(why_flag("beta", ada())).context["sentences"]
        assert sentences[2] == "segments cannot be divided into shares: everybody gets the first."

    def test_a_prerequisite_that_failed_leads_on(self, viewer: Client, flag_file: FlagFile) -> None:
        user = ada()
        flag_file(
            string_flag("colour", ("red", "blue")),
            boolean_flag("asleep", on=False, fallthrough=True),
            boolean_flag(
                "beta",
                fallthrough=True,
                prerequisites=[
                    prerequisite("colour", 0),
                    prerequisite("asleep", 1),
                    prerequisite("gone", 0),
                ],
            ),
        )
        response = viewer.get(why_flag("beta", user))
        assert response.context["sentences"] == [
            "It needs the flag “asleep” first.",
            "It serves its off value: false.",
        ]
        colour, asleep, gone = response.context["prerequisites"]
        assert (colour.held, colour.wanted, colour.actual) == (True, '"red"', '"red"')
        assert (asleep.held, asleep.wanted, asleep.actual) == (False, "false", "false")
        assert asleep.note == "It is off: then the prerequisite fails, whatever it serves."
        assert (gone.held, gone.note) == (False, "LaunchDarkly has no such flag.")
        assert f'href="{why_flag("colour", user)}"' in response.content.decode()

    def test_a_forced_and_an_overridden_flag(
        self, viewer: Client, flag_file: FlagFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flag_file(boolean_flag("beta", rules=[segment_rule("employee")]))
        user = ada()
        with override_flag("beta", False):
            response = viewer.get(why_flag("beta", user))
        assert response.context["sentences"] == [
            "Overridden by a test.",
            "LaunchDarkly is not asked.",
        ]
        assert response.context["value"] == "false"
        monkeypatch.setenv("FORCE_FLAG_BETA", "false")
        from featureflags.flags.overrides import forced_flags  # noqa: PLC0415

        forced_flags.cache_clear()
        response = viewer.get(why_flag("beta", user))
        assert response.context["sentences"][0] == "Forced by an environment variable."
        assert [row.state for row in response.context["rules"]] == ["unasked"]

    def test_a_declared_flag_that_launchdarkly_lacks(self, viewer: Client) -> None:
        response = viewer.get(why_flag("welcome-tour", ada()))
        assert response.context["sentences"] == [
            "No answer (FLAG_NOT_FOUND): the default.",
            "Everybody gets the default: false.",
        ]
        assert response.context["degraded"] == ["LaunchDarkly has no flag of this key."]

    def test_a_segment_that_django_does_not_have(self, viewer: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", rules=[segment_rule("gone")]))
        section = sections(viewer.get(why_flag("beta", ada())))["segment-gone"]
        assert section.headline == "There is no segment “gone”: nobody is in it."
        assert section.links == ()

    def test_what_it_costs_does_not_grow_with_the_segments(
        self, viewer: Client, flag_file: FlagFile
    ) -> None:
        keys = [each.key for each in SegmentFactory.create_batch(12)]
        flag_file(
            boolean_flag("few", rules=[segment_rule(*keys[:2])]),
            boolean_flag("many", rules=[segment_rule(*keys)]),
        )
        user = ada()

        def queries(flag: str) -> int:
            viewer.get(why_flag(flag, user))
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                assert viewer.get(why_flag(flag, user)).status_code == 200
            return len(captured)

        assert queries("few") == queries("many")
