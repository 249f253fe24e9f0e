"""The home page renews itself: at once by a stream under ASGI, within seconds by polling under WSGI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from playwright.sync_api import Page, Route

from config.demo import DEMO_FLAG_FILE
from config.settings.environment import BASE_DIR
from featureflags.models import Segment
from tests.browser.conftest import CheckAccessibility, OpenPage, Shot
from tests.conftest import FlagFile
from tests.factories import clause, rule
from tests.services.processes import on_this_database, running_server
from tests.services.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seeded(transactional_db: None, flag_file: FlagFile) -> str:
    """The path of the demo's flags; its people and segments are stored."""
    flags = json.loads((BASE_DIR / DEMO_FLAG_FILE).read_text())["flags"].values()
    path = flag_file(*flags)
    call_command("seed_demo", password="demo", verbosity=0)
    return str(path)


@pytest.fixture
def asgi(seeded: str) -> Iterator[str]:
    env = {**on_this_database(), "LAUNCHDARKLY_FLAG_FILE": seeded}
    with running_server(env, server="uvicorn", path="/healthz") as web:
        yield web.url


def static_file(route: Route) -> None:
    path = finders.find(urlsplit(route.request.url).path.removeprefix("/static/"))
    route.fulfill(path=str(path))


def everybody_gets_the_checkout() -> None:
    segment = Segment.objects.get(key="employee")
    segment.rules = [rule(clause("email_domain", "contains", "."))]
    segment.save()


def segments_of_all(page: Page) -> int:
    return page.locator("#cards").inner_text().count("employee")


def wait_for_more(page: Page, before: int) -> None:
    def more() -> bool:
        page.wait_for_timeout(50)
        return segments_of_all(page) > before

    wait_until(more, what="the new page")


def test_under_asgi_a_change_is_shown_at_once(
    open_page: OpenPage,
    asgi: str,
    shot: Shot,
    check_accessibility: CheckAccessibility,
) -> None:
    page = open_page(base_url=asgi)
    # A server of production has its static files in a folder, which is made when it is built.
    page.route("**/static/**", static_file)
    with page.expect_request("**/guidon/events?ticket=**"):
        page.goto("/")
    page.wait_for_timeout(1500)
    before = segments_of_all(page)
    everybody_gets_the_checkout()
    # One second on an idle machine, and the page itself: no page of a stream is asked for without one.
    wait_for_more(page, before)
    check_accessibility(page)
    shot(page, "home-renewed")


def test_under_wsgi_the_page_is_asked_for_while_somebody_looks(
    open_page: OpenPage, seeded: str
) -> None:
    page = open_page()
    page.goto("/")
    assert page.locator("[data-events='']").count() == 1
    before = segments_of_all(page)
    everybody_gets_the_checkout()
    wait_for_more(page, before)
