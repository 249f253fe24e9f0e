"""No page of the admin sends events to LaunchDarkly."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.evaluation import is_enabled
from featureflags.launchdarkly.client import close
from featureflags.models import FlagCount, HistoryEntry, Segment
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, rollout, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

pytestmark = pytest.mark.django_db


def pages(user: User) -> dict[str, str]:
    """Every page beside Django's own, with a text that shows that it evaluated."""
    employee = Segment.objects.get(key="employee")
    employee.is_active = True
    employee.description = "Changed"
    employee.save()
    first = HistoryEntry.objects.filter(segment_key="employee").earliest("pk")
    return {
        reverse(
            "admin:featureflags_usercontext", args=[user.pk]
        ): "Rule 1 (rule-employee) matched.",
        reverse("admin:featureflags_why_flag", args=["beta", user.pk]): "Rule 1 (rule-employee)",
        reverse("admin:featureflags_why_segment", args=["employee", user.pk]): "rule 1 matches",
        reverse("admin:featureflags_why"): "flag:beta",
        reverse("admin:featureflags_flags"): "rule 1: segments is any of",
        reverse("admin:featureflags_flag", args=["beta"]): "rule 1: segments is any of",
        reverse("admin:featureflags_segment_members", args=["employee"]): "Rule 1",
        reverse("admin:index"): "Flags arrive.",
        reverse("admin:featureflags_segment_delete", args=[employee.pk]): "beta</strong>",
        reverse("admin:featureflags_segment_history", args=[employee.pk]): "Added rule 1",
        reverse("admin:featureflags_segment_restore", args=[first.pk]): "beta</strong>",
    }


def test_no_page_sends_an_event(client: Client, settings: Settings) -> None:
    staff, ada = UserFactory.create(superuser=True), UserFactory.create(employee=True)
    beta = boolean_flag(
        "beta", rules=[segment_rule("employee")], fallthrough=rollout(50_000, 50_000)
    )
    with LaunchDarklyServer(beta) as server:
        urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "SEND_EVENTS": True,
            "START_WAIT": 10.0,
            **urls,
        }
        client.force_login(staff)
        for address, shown in pages(ada).items():
            assert shown in client.get(address).content.decode(), address
        client.post(reverse("admin:featureflags_flag_count", args=["beta"]), {"how": "sample"})
        assert FlagCount.objects.get().users_counted == 2
        # A real evaluation, so that the events of this client are seen to arrive.
        assert is_enabled("beta", anonymous_key="somebody") in {True, False}
        close()
        assert {event["context"]["key"] for event in server.events("index")} == {"somebody"}
        [summary] = server.events("summary")
        [counted] = summary["features"]["beta"]["counters"]
        assert counted["count"] == 1
