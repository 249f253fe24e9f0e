"""The home page: real users of the demo side by side, and the reader."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.db import OperationalError, connection
from django.shortcuts import resolve_url
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from config.demo import DEMO_FLAG_FILE, DEMO_PEOPLE, DEMO_SEGMENTS
from config.flags import FLAGS
from config.settings.environment import BASE_DIR
from featureflags.launchdarkly.client import close
from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.admin.asking import answer
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

pytestmark = pytest.mark.django_db

HOME = "/"
FlagFile = Callable[..., Path]
OFF = {"new-checkout": "off", "welcome-tour": "off", "internal-tools": "off"}


def demo_flags() -> list[dict[str, Any]]:
    document = json.loads((BASE_DIR / DEMO_FLAG_FILE).read_text())
    return list(document["flags"].values())


@pytest.fixture
def demo(flag_file: FlagFile) -> FlagFile:
    """The people, segments and flags of the demo."""
    for person in DEMO_PEOPLE:
        UserFactory.create(
            email=person.email,
            name=person.name,
            role=person.role,
            email_verified=person.email_verified,
            metadata=dict(person.metadata),
            is_superuser=person.is_superuser,
            is_staff=person.is_superuser,
            created_at=timezone.now() - datetime.timedelta(days=person.days_old),
        )
    for segment in DEMO_SEGMENTS:
        SegmentFactory.create(key=segment.key, name=segment.name, rules=list(segment.rules))
    flag_file(*demo_flags())
    return flag_file


def cards(client: Client) -> dict[str, str]:
    """The text of each card by its title, from a page that must be there."""
    response = client.get(HOME)
    assert response.status_code == 200
    articles = re.findall(r"<article.*?</article>", response.content.decode(), re.DOTALL)
    found = {}
    for article in articles:
        title = re.search(r"<h3[^>]*>(.*?)</h3>", article, re.DOTALL)
        assert title is not None
        found[unescape(title[1])] = article
    return found


def values(card: str) -> dict[str, str]:
    """The flags of a card, as the page writes their values."""
    rows = re.findall(r'<th scope="row">(.*?)</th><td><span[^>]*>(.*?)</span>', card, re.DOTALL)
    return dict(rows)


def segments(card: str) -> list[str]:
    found = re.search(r'<ul class="segments">(.*?)</ul>', card, re.DOTALL)
    return re.findall(r"<li>(.*?)</li>", found[1]) if found else []


def test_four_people_see_four_pages(demo: FlagFile, client: Client) -> None:
    page = cards(client)
    assert list(page) == [
        "Visitor",
        "New user",
        "Employee",
        "Paying customer",
        "You, a visitor",
    ]
    assert values(page["Visitor"]) == {**OFF, "accent-colour": "slate"}
    new = {**OFF, "welcome-tour": "on", "accent-colour": "green"}
    assert values(page["New user"]) == new
    employee = {**OFF, "new-checkout": "on", "internal-tools": "on", "accent-colour": "violet"}
    assert values(page["Employee"]) == employee
    assert values(page["Paying customer"]) == {
        **OFF,
        "new-checkout": "on",
        "accent-colour": "amber",
    }
    assert "Shall we show you around?" in page["New user"]
    assert "Shall we show you around?" not in page["Employee"]
    assert "Buy on one page" in page["Paying customer"]
    assert "Go to checkout" in page["Visitor"]
    assert "Internal tools" in page["Employee"]
    assert 'data-accent="amber"' in page["Paying customer"]


def test_cards_show_segments_and_context(demo: FlagFile, client: Client) -> None:
    page = cards(client)
    assert segments(page["Visitor"]) == []
    assert segments(page["New user"]) == ["new_user", "user"]
    assert segments(page["Employee"]) == ["employee", "established_user", "user"]
    paying = page["Paying customer"]
    assert segments(paying) == ["established_user", "paying_customer", "user"]
    assert "<dt>custom_plan</dt><dd>pro</dd>" in paying
    assert "<dt>account_age_days</dt><dd>365</dd>" in paying
    assert "Degraded" not in client.get(HOME).content.decode()


def test_an_employee_cannot_make_herself_an_admin(demo: FlagFile) -> None:
    assert User.objects.get(email="ada@agpt.co").metadata == {"role": "admin"}
    assert "admin" not in segments(cards(Client())["Employee"])


def test_an_edited_segment_changes_the_page_at_the_next_reload(
    demo: FlagFile, client: Client
) -> None:
    assert values(cards(client)["Paying customer"])["new-checkout"] == "on"
    segment = Segment.objects.get(key="paying_customer")
    segment.rules[0]["clauses"][0]["values"] = ["team"]
    segment.save()
    assert values(cards(client)["Paying customer"])["new-checkout"] == "off"


def test_so_does_one_that_is_edited_in_the_admin(demo: FlagFile, client: Client) -> None:
    assert values(cards(client)["Paying customer"])["new-checkout"] == "on"
    segment = Segment.objects.get(key="paying_customer")
    segment.rules[0]["clauses"][0]["values"] = ["team"]
    admin = Client()
    admin.force_login(User.objects.get(email="admin@example.com"))
    asked = admin.post(
        reverse("admin:featureflags_segment_change", args=[segment.pk]),
        {"name": segment.name, "is_active": "on", "rules": json.dumps(segment.rules)},
    )
    assert values(cards(client)["Paying customer"])["new-checkout"] == "on"
    assert answer(admin, asked).status_code == 302
    assert values(cards(client)["Paying customer"])["new-checkout"] == "off"


def test_the_page_is_about_you_when_you_are_logged_in(demo: FlagFile, client: Client) -> None:
    client.force_login(User.objects.get(email="paula@example.org"))
    page = client.get(HOME).content.decode()
    you = cards(client)["Paula Park"]
    assert values(you)["accent-colour"] == "amber"
    assert segments(you) == ["established_user", "paying_customer", "user"]
    assert f'action="{reverse("logout")}"' in page
    assert reverse("admin:index") not in page
    client.force_login(User.objects.get(email="admin@example.com"))
    assert reverse("admin:index") in client.get(HOME).content.decode()


def test_people_log_in_by_e_mail_and_out_again(flag_file: FlagFile, client: Client) -> None:
    UserFactory.create(email="nina@example.com", name="Nina", password="demo")
    assert f'href="{reverse("login")}"' in client.get(HOME).content.decode()
    wrong = client.post(reverse("login"), {"username": "nina@example.com", "password": "no"})
    assert "Please enter a correct e-mail address and password" in wrong.content.decode()
    data = {"username": "NINA@example.com", "password": "demo"}
    inside = client.post(reverse("login"), data, follow=True)
    assert inside.redirect_chain == [(HOME, 302)]
    assert "You are logged in." in inside.content.decode()
    outside = client.post(reverse("logout"), follow=True)
    assert "You are not logged in." in outside.content.decode()


def test_pages_that_ask_for_a_login_lead_there(settings: Settings) -> None:
    assert resolve_url(settings.LOGIN_URL) == reverse("login")


def test_addresses_of_strangers_are_not_shown(demo: FlagFile, client: Client) -> None:
    UserFactory.create(email="stranger@example.com", name="Stranger")
    page = client.get(HOME).content.decode()
    assert "stranger" not in page.lower()
    assert "admin@example.com" not in page


def test_missing_people_are_said_with_the_way_to_load_them(
    flag_file: FlagFile, client: Client
) -> None:
    page = client.get(HOME).content.decode()
    assert "manage.py seed_demo" in page
    assert list(cards(client)) == ["Visitor", "You, a visitor"]


def test_the_page_names_flags_that_launchdarkly_lacks(flag_file: FlagFile, client: Client) -> None:
    page = client.get(HOME).content.decode()
    assert "LaunchDarkly has no flag of this key." in page


def test_a_visitor_gets_a_key_and_no_session(demo: FlagFile, client: Client) -> None:
    response = client.get(HOME)
    assert set(response.cookies) == {"guidon_visitor"}
    assert "no-store" in response.headers["Cache-Control"]
    assert set(client.get(HOME).cookies) == set()


def test_the_page_answers_without_a_database(demo: FlagFile, client: Client) -> None:
    """As with a server that was stopped: every query of this connection fails."""
    client.force_login(User.objects.get(email="ada@agpt.co"))
    cards(client)

    def fail(*_args: Any) -> Any:
        raise OperationalError("the server has gone")

    with connection.execute_wrapper(fail):
        page = client.get(HOME)
        anonymous = Client().get(HOME)
    for response in (page, anonymous):
        assert response.status_code == 200
        assert "the database does not answer" in response.content.decode()
    text = page.content.decode()
    assert "Degraded" in text
    assert "You are logged in; your account could not be read just now." in text


def test_the_people_are_only_looked_at(settings: Settings, demo: FlagFile, client: Client) -> None:
    with LaunchDarklyServer(boolean_flag("new-checkout", rules=[segment_rule("user")])) as server:
        urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        real = {"SDK_KEY": server.sdk_key, "SEND_EVENTS": True, "START_WAIT": 10.0, **urls}
        with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, **real}):
            you = UserFactory.create()
            client.force_login(you)
            assert values(cards(client)["Employee"])["new-checkout"] == "on"
            close()
            events = server.events("index")
            assert [event["context"]["key"] for event in events] == [str(you.pk)]


def test_the_page_names_no_other_host_and_has_no_inline_code(
    demo: FlagFile, client: Client
) -> None:
    page = client.get(HOME).content.decode()
    assert "//" not in page.replace("<!doctype html>", "")
    scripts = re.findall("<script[^>]*>.*?</script>", page)
    assert scripts == ['<script src="/static/featureflags/changes.js" defer></script>']
    for inline in (" style=", "<style", " onclick="):
        assert inline not in page
    for name in re.findall(r'"/static/([^"]+)"', page):
        assert finders.find(name), name


def test_only_reading_is_possible(client: Client) -> None:
    assert client.post(HOME).status_code == 405
    assert client.head(HOME).status_code == 200


def test_the_flag_file_of_the_demo_holds_the_declared_flags() -> None:
    given = {flag["key"]: flag for flag in demo_flags()}
    assert set(given) == {flag.key for flag in FLAGS}
    for flag in FLAGS:
        file = given[flag.key]
        assert all(flag.type.holds(value) for value in file["variations"])
        assert file["variations"][file["offVariation"]] == flag.default
        assert file["clientSideAvailability"]["usingEnvironmentId"] is flag.client_side


def test_pages_without_an_icon_of_their_own_find_the_site_s(client: Client) -> None:
    response = client.get("/favicon.ico")
    assert response.status_code == 302
    assert response["Location"].endswith("featureflags/guidon.svg")
