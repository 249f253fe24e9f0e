"""The preview of a segment's rules: numbers, example users, permissions, and never an error page."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.admin.rule_editor import preview
from featureflags.audience import day_sample
from featureflags.audience.sql.statement_timeout import TimeIsUp
from featureflags.evaluation import is_enabled
from featureflags.kinds.registry import user_kind
from featureflags.launchdarkly.client import close
from featureflags.models import HistoryEntry, Segment, SegmentMember
from featureflags.models.versions import RulesetVersion
from tests.browser.conftest import person_with
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

pytestmark = pytest.mark.django_db

PREVIEW = reverse("admin:featureflags_preview")
PRO = rule(clause("custom_plan", "in", "pro"))
TEAM = rule(clause("custom_plan", "in", "team"))
BOTH = ("view_segment", "view_user")


def ask(client: Client, *rules: Any, segment: str = "", is_active: str = "on") -> Any:
    return client.post(
        PREVIEW, {"segment": segment, "rules": json.dumps(rules), "is_active": is_active}
    )


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture
def people() -> None:
    UserFactory.create(email="ann@example.com", name="Ann", metadata={"plan": "pro"})
    UserFactory.create(email="bob@example.com", name="", metadata={"plan": "team"})
    UserFactory.create(email="cleo@example.com", name="Cleo <b>", metadata={"plan": "free"})


@pytest.fixture
def looker(client: Client) -> Client:
    """Somebody who may only view segments and users."""
    client.force_login(person_with(*BOTH, email="looker@agpt.co"))
    return client


def test_a_new_segment_shows_who_matches(looker: Client, people: None) -> None:
    page = text(ask(looker, PRO))
    assert "1 user matches" in page
    assert "25 % of 4 users" in page
    assert "Ann</a>" in page
    assert "ann@example.com" in page
    assert "enter" not in page


def test_a_change_shows_who_enters_and_leaves(looker: Client, people: None) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    page = text(ask(looker, TEAM, segment="s"))
    assert "1 user matches" in page
    assert "+1 enter" in page
    assert "−1 leave" in page
    # Bob twice: he matches and enters. He has no name, so that his address is shown.
    assert page.count("bob@example.com</a>") == 2
    assert page.count("Ann</a>") == 1
    unchanged = text(ask(looker, PRO, segment="s"))
    assert "Nobody enters or leaves" in unchanged
    assert "+0" not in unchanged


def test_members_count_and_an_inactive_segment_is_left_by_all(looker: Client, people: None) -> None:
    segment = SegmentFactory.create(key="s", rules=[PRO])
    SegmentMemberFactory.create(segment=segment, kind=SegmentMember.Kind.INCLUDE)
    assert "2 users match" in text(ask(looker, PRO, segment="s"))
    page = text(ask(looker, PRO, segment="s", is_active=""))
    assert "0 users match" in page
    assert "−2 leave" in page


class TestTheMemberByNameThatIsTyped:
    @pytest.fixture
    def bob(self, people: None) -> User:
        SegmentFactory.create(key="s", rules=[PRO])
        return User.objects.get(email="bob@example.com")

    def sent(self, client: Client, **typed: str) -> str:
        named = {f"by_name-{name}": value for name, value in typed.items()}
        rules = {"segment": "s", "rules": json.dumps([PRO]), "is_active": "on"}
        return text(client.post(PREVIEW, {**rules, **named}))

    def test_is_counted(self, client: Client, bob: User) -> None:
        client.force_login(UserFactory.create(superuser=True))
        page = self.sent(client, user=str(bob.pk), kind="include", reason="Asked")
        assert "2 users match" in page
        assert "+1 enter" in page
        ann = User.objects.get(email="ann@example.com")
        assert "−1 leave" in self.sent(client, user=str(ann.pk), kind="exclude")
        later = {"starts_at_0": "2099-01-01", "starts_at_1": "00:00"}
        assert "Nobody enters" in self.sent(client, user=str(bob.pk), kind="include", **later)

    def test_takes_the_place_of_the_stored_one(self, client: Client, bob: User) -> None:
        client.force_login(UserFactory.create(superuser=True))
        SegmentMemberFactory.create(segment=Segment.objects.get(key="s"), user=bob)
        assert "2 users match" in self.sent(client)
        assert "−1 leave" in self.sent(client, user=str(bob.pk), kind="exclude")

    def test_that_is_not_complete_is_left_out_and_said(self, client: Client, bob: User) -> None:
        client.force_login(UserFactory.create(superuser=True))
        for typed in ({"reason": "Asked"}, {"user": str(bob.pk), "expires_at_0": "1999-01-01"}):
            page = self.sent(client, kind="include", **typed)
            assert "is not complete, and not counted" in page
            assert "Nobody enters" in page
        assert "not counted" not in self.sent(client, kind="exclude")

    def test_takes_the_permission_to_add_members(self, looker: Client, bob: User) -> None:
        assert "Nobody enters" in self.sent(looker, user=str(bob.pk), kind="include")


def test_without_rules_those_that_are_saved_are_shown(looker: Client, people: None) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    SegmentFactory.create(key="off", rules=[PRO], is_active=False)
    saved = text(looker.post(PREVIEW, {"segment": "s"}))
    assert "1 user matches" in saved
    assert "Nobody enters" not in saved
    assert "0 users match" in text(looker.post(PREVIEW, {"segment": "off"}))


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("[{", "This is not JSON yet."),
        ("[" * 5000, "This is not JSON yet."),
        ('{"a": 1}', "The rules must be a list"),
        ('[{"clauses": []}]', "Rule 1: add at least one condition"),
        (json.dumps([rule(clause("nonsense", "in", "x"))]), "Rule 1, condition 1: there is no"),
        (json.dumps([rule(clause("", "segmentMatch", "s"))]), "these segments use each other"),
    ],
)
def test_what_is_not_finished_is_said_and_nothing_counted(
    looker: Client, people: None, sent: str, said: str
) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    page = text(looker.post(PREVIEW, {"segment": "s", "rules": sent, "is_active": "on"}))
    assert "Not finished yet" in page
    assert said in page
    assert "leave" not in page
    assert "match" not in page.replace("segmentMatch", "")


def test_names_and_addresses_are_for_those_who_may_see_users(client: Client, people: None) -> None:
    client.force_login(person_with("view_segment"))
    response = ask(client, PRO)
    page = text(response)
    assert "1 user matches" in page
    [ann] = response.context["matching"].people
    assert f"<code>{ann.name}</code>" in page
    for shown in ("Ann", "ann@example.com", "href"):
        assert shown not in page


def test_what_users_call_themselves_is_text(looker: Client, people: None) -> None:
    page = text(ask(looker, rule(clause("custom_plan", "in", "free"))))
    assert "Cleo &lt;b&gt;" in page
    assert "<b>" not in page


def test_it_needs_the_permission_to_view_change_or_add_segments(client: Client) -> None:
    assert ask(client, PRO).status_code == 302
    for permission, status in (
        ("view_user", 403),
        ("view_segment", 200),
        ("add_segment", 200),
        ("change_segment", 200),
    ):
        client.force_login(person_with(permission))
        assert ask(client, PRO).status_code == status
    client.force_login(UserFactory.create())
    assert ask(client, PRO).status_code == 302


def test_it_takes_post_alone_with_a_token_of_the_form(looker: Client) -> None:
    assert looker.get(PREVIEW).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person_with(*BOTH))
    assert ask(strict, PRO).status_code == 403
    page = strict.get(reverse("admin:featureflags_segment_changelist"))
    assert page.status_code == 200
    token = strict.get(reverse("admin:password_change")).context["csrf_token"]
    answer = strict.post(PREVIEW, {"rules": "[]"}, headers={"X-CSRFToken": str(token)})
    assert answer.status_code == 200


def test_it_writes_nothing(looker: Client, people: None) -> None:
    segment = SegmentFactory.create(key="s", rules=[PRO])
    before = (RulesetVersion.read(), HistoryEntry.objects.count())
    ask(looker, TEAM, segment="s")
    segment.refresh_from_db()
    assert segment.rules == [PRO]
    assert (RulesetVersion.read(), HistoryEntry.objects.count()) == before


def test_when_time_is_up_numbers_are_lower_bounds(
    looker: Client, people: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_args: object, **_options: object) -> list[int]:
        raise TimeIsUp

    monkeypatch.setattr("featureflags.audience.impact.count_combinations", too_long)
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "IMPACT_SECONDS": 2.5}
    SegmentFactory.create(key="s", rules=[PRO])
    page = text(ask(looker, TEAM, segment="s"))
    assert "At least 1 user matches" in page
    assert "At least +1 enter" in page
    assert "At least −1 leave" in page
    assert "stopped after 2.5 s" in page
    assert "%" not in page


def test_estimates_are_said_in_words(
    looker: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_sample, "SIZES", (20, 150, 20))
    UserFactory.create_batch(200, metadata={"plan": "pro"})
    UserFactory.create_batch(100, metadata={"plan": "team"})
    day_sample.draw(user_kind())
    SegmentFactory.create(key="s", rules=[PRO])
    sent = {"segment": "s", "rules": json.dumps([TEAM]), "is_active": "on"}
    first = text(looker.post(PREVIEW, {**sent, "quick": "on"}))
    assert "data-first" in first
    assert "users match (± " in first
    assert re.search(r"About \d+ enter \(± \d+ %\)", first)
    assert "An estimate from a random sample. The exact count follows." in first
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "IMPACT_SECONDS": 0.0}
    second = text(looker.post(PREVIEW, sent))
    assert "data-first" not in second
    assert "takes longer than 0 s. 99 of 100 such estimates hold the exact number." in second
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "IMPACT_SECONDS": 60.0}
    assert "100 users match" in text(looker.post(PREVIEW, sent))


def test_a_database_that_does_not_answer_is_said_in_words(
    looker: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_args: object, **_options: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(preview, "preview_of", gone)
    assert "The database does not answer at the moment." in text(ask(looker, PRO))


def test_no_events_are_sent(looker: Client, people: None, settings: Settings) -> None:
    segment = SegmentFactory.create(key="s", rules=[PRO])
    with LaunchDarklyServer(boolean_flag("beta", rules=[segment_rule("s")])) as server:
        urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        sending = {"SDK_KEY": server.sdk_key, "SEND_EVENTS": True, "START_WAIT": 10.0, **urls}
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **sending}
        page = looker.get(reverse("admin:featureflags_segment_change", args=[segment.pk]))
        assert "<strong>beta</strong>" in page.content.decode()
        assert "−1 leave" in text(ask(looker, TEAM, segment="s"))
        # A real evaluation, so that the events of this client are seen to arrive.
        assert is_enabled("beta", anonymous_key="somebody") is False
        close()
        assert {event["context"]["key"] for event in server.events("index")} == {"somebody"}


def test_values_with_capitals_are_previewed_as_they_would_be_saved(
    looker: Client, people: None
) -> None:
    page = text(ask(looker, rule(clause("email", "in", "Ann@Example.com"))))
    assert "1 user matches" in page
    assert "&quot;Ann@Example.com&quot; is saved as &quot;ann@example.com&quot;" in page
