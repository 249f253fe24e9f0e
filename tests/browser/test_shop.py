"""Another project, run from the wheel: segments on its companies and orders, made in its admin."""

from __future__ import annotations

import datetime
import signal
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import BrowserContext, Expect, Page

from tests.browser.conftest import DESKTOP, Shot
from tests.browser.editing import Editor
from tests.browser.thread import PATIENCE_SECONDS, BrowserThread
from tests.browser.watching import Watch
from tests.services.guarded import HOST
from tests.services.processes import WebProcess
from tests.services.waiting import wait_until
from tests.wheel.shop import Ask, Shop, adopted_shop, psql, write_flags

pytestmark = pytest.mark.production_stack

LOOK_SECONDS = 0.1
ORDER = "INSERT INTO orders_order (customer_id, placed_at, total) VALUES (42, now(), 1)"


class ShopServer(WebProcess):
    """The shop behind Django's own server, which serves the files of the pages too."""

    name = "shop"
    stop_signal = signal.SIGTERM

    def __init__(self, shop: Shop) -> None:
        super().__init__({}, port=None, server="dev", options=(), path="/")
        self.folder = shop.folder
        self.environment = shop.installed.variables(shop.env)
        self._python = str(shop.installed.python)

    def command(self) -> list[str]:
        options: Sequence[str] = ("--noreload", "--insecure")
        return [self._python, "manage.py", "runserver", *options, f"{HOST}:{self.port}"]


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with adopted_shop(tmp_path_factory.mktemp("shop")) as adopted:
        yield adopted


@pytest.fixture
def ask(shop: Shop) -> Iterator[Ask]:
    write_flags(shop, people="buyers", companies="large")
    with shop.asking() as ask:
        yield ask


@pytest.fixture
def page(
    shop: Shop,
    ask: Ask,
    browser_thread: BrowserThread,
    browser_contexts: list[BrowserContext],
    watch: Watch,
) -> Iterator[Page]:
    """The admin of the shop, after somebody has logged in."""
    ask("open_pages")  # which makes the superuser
    watch.expect("favicon.ico")  # the shop has none
    with ShopServer(shop) as server:
        context = browser_thread.browser.new_context(
            base_url=server.url, viewport=DESKTOP, locale="en-GB"
        )
        browser_contexts.append(context)
        browser_thread.run(watch.attach, context)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        page = context.new_page()
        page.goto("/admin/")
        page.get_by_label("Username").fill("boss")
        page.get_by_label("Password").fill("secret")
        page.get_by_role("button", name="Log in").click()
        yield page
        context.close()
    assert not watch.problems()


def test_segments_of_companies_and_orders(
    page: Page, shop: Shop, ask: Ask, expect: Expect, shot: Shot
) -> None:
    page.goto("/admin/featureflags/segment/add/")
    shot(page, "shop-0-kinds")
    page.get_by_role("link", name="organization").click()
    editor = Editor(page).name("large", "Companies with more than 50 seats")
    editor.add_rule()
    editor.say(1, 1, "Seats", "is more than").get_by_label("Value", exact=True).fill("50")
    expect(editor.impact).to_contain_text("1 of the companies")
    expect(editor.impact.get_by_role("link", name="Acme")).to_be_visible()
    shot(page, "shop-1-companies")
    editor.save()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    planner = ask("planner")
    assert (planner["acme"], planner["bolt"]) == (True, False)
    assert (planner["person of acme"], planner["person of bolt"]) == (True, False)

    describe_buyers(editor)
    expect(editor.impact).to_contain_text("0 users match")
    shot(page, "shop-2-nobody-yet")
    editor.save()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    assert ask("answer")["by_key"] is False

    psql(shop.postgres, ORDER)
    wait_until(lambda: ask("answer")["by_key"], what="the order", pause=LOOK_SECONDS)
    answer = ask("answer")
    assert (answer["by_key"], answer["loaded"], answer["another"]) == (True, True, False)
    assert "buyers" in answer["attributes"]["segments"]

    page.goto("/admin/featureflags/segment/members/buyers/")
    expect(page.get_by_role("main")).to_contain_text("person42")
    page.goto("/admin/featureflags/segment/why/segment/buyers/42/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is person42 in buyers?")
    for said in ("Plan", "pro", "Seats", "80", "Last order"):
        expect(page.get_by_role("main")).to_contain_text(said)
    shot(page, "shop-3-why")
    page.goto("/admin/featureflags/segment/why/flag/team-checkout/42/")
    expect(page.get_by_role("main")).to_contain_text("buyers")
    shot(page, "shop-4-why-flag")

    page.goto("/admin/featureflags/segment/user-context/42/")
    expect(page.get_by_role("main")).to_contain_text("In the segments large, large_organization.")
    shot(page, "shop-5-person")
    page.get_by_role("link", name="Acme", exact=True).click()
    look_at_a_company(page, shop, ask, expect, shot)


def look_at_a_company(page: Page, shop: Shop, ask: Ask, expect: Expect, shot: Shot) -> None:
    """Its page, why it has its flag, and why not any more, once psql has made it smaller."""
    main, heading = page.get_by_role("main"), page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Segments and flags of Acme")
    shot(page, "shop-6-company")
    page.get_by_role("link", name="Why this value of seat-planner?").click()
    expect(heading).to_have_text("Why is seat-planner true for Acme?")
    expect(main).to_contain_text("Acme is in “large”: rule 1 matches.")
    expect(main).to_contain_text("Seats: 80")
    shot(page, "shop-7-why-company")
    psql(shop.postgres, "UPDATE users_company SET seats = 8 WHERE name = 'Acme'")
    wait_until(lambda: not ask("planner")["by_key"], what="the company", pause=LOOK_SECONDS)
    page.reload()
    expect(heading).to_have_text("Why is seat-planner false for Acme?")
    expect(main).to_contain_text("Seats: 8")
    planner = ask("planner")
    assert (planner["acme"], planner["person of acme"]) == (False, False)
    page.goto("/admin/featureflags/segment/members/large/")
    expect(main).to_contain_text("Nobody")


def describe_buyers(editor: Editor) -> None:
    """People on plan pro of such companies, who ordered lately."""
    editor.add("buyers", "On plan pro of such companies, who ordered this month", kind="user")
    editor.add_rule()
    editor.values(editor.say(1, 1, "Plan", "is any of")).get_by_label("pro").check()
    editor.add_condition(1)
    editor.say(1, 2, "Seats", "is more than").get_by_label("Value", exact=True).fill("50")
    editor.add_condition(1)
    lately = editor.say(1, 3, "Last order", "is after")
    month = datetime.datetime.now(tz=datetime.UTC).date().replace(day=1)
    lately.get_by_label("Value: Date").fill(month.isoformat())
