"""The watch over the browser sees what it is there for. Else all other tests here prove less."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from playwright.sync_api import Expect, Page, Route

from featureflags.models import Segment
from tests.browser.conftest import CheckAccessibility, OpenPage
from tests.browser.watching import Watch
from users.models import User

STRICT = "default-src 'self'"


def serve(page: Page, body: str, *, status: int = 200) -> None:
    """Show a page of the test's own under a strict policy."""

    def answer(route: Route) -> None:
        headers = {"Content-Type": "text/html", "Content-Security-Policy": STRICT}
        document = f'<!doctype html><html lang="en"><title>Test</title>{body}'
        route.fulfill(status=status, headers=headers, body=document)

    page.route("**/of-the-test/", answer)
    page.goto("/of-the-test/")


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ('<p style="color: red">inline</p>', "console: .*(?i:content security policy)"),
        ("<script>document.title = 1</script>", "console: .*(?i:content security policy)"),
        ('<img src="/is-not-there.png" alt="">', r"console: .*404.*is-not-there\.png"),
    ],
)
def test_refusals_and_missing_files_are_seen(
    open_page: OpenPage, watch: Watch, body: str, seen: str
) -> None:
    page = open_page()
    serve(page, body)
    page.title()
    assert watch.problems()
    watch.expect(seen)


def test_errors_of_scripts_and_of_the_server_are_seen(open_page: OpenPage, watch: Watch) -> None:
    page = open_page()
    serve(page, "<main><h1>Down</h1></main>", status=503)
    page.evaluate("() => { setTimeout(() => { throw new Error('thrown later') }, 0) }")
    page.evaluate("() => new Promise(done => setTimeout(done, 50))")
    page.evaluate("() => console.error('said aloud')")
    assert len(watch.problems()) >= 3
    watch.expect("exception: .*thrown later")
    watch.expect("console: said aloud")
    watch.expect("503")


def test_what_was_expected_must_come(open_page: OpenPage, watch: Watch) -> None:
    serve(open_page(), "<main><h1>Fine</h1></main>")
    watch.expect("never")
    assert watch.problems() == ["expected, but did not come: never"]
    watch.expected.clear()


def test_axe_finds_what_is_wrong_under_a_strict_policy(
    open_page: OpenPage, check_accessibility: CheckAccessibility
) -> None:
    page = open_page()
    serve(page, "<main><h1>Form</h1><input></main>")
    with pytest.raises(AssertionError, match="label"):
        check_accessibility(page)
    page.unroute("**/of-the-test/")
    serve(page, '<main><h1>Form</h1><label for="a">Age</label><input id="a"></main>')
    check_accessibility(page)


def test_the_orm_and_the_browser_work_side_by_side(superuser_page: Page, expect: Expect) -> None:
    superuser_page.goto("/admin/featureflags/segment/")
    expect(superuser_page.locator("#result_list tbody tr")).to_have_count(Segment.objects.count())
    Segment.objects.create(key="fresh", name="Fresh", rules=[])
    superuser_page.reload()
    expect(superuser_page.get_by_role("link", name="fresh")).to_be_visible()
    with superuser_page.expect_navigation():
        superuser_page.get_by_role("link", name="fresh").click()
    superuser_page.get_by_label("Name:").fill("Seen")
    superuser_page.get_by_role("button", name="Save", exact=True).click()
    expect(superuser_page.get_by_role("link", name="fresh")).to_have_count(2)
    assert Segment.objects.get(key="fresh").name == "Seen"


def test_the_three_people_may_do_what_their_names_say(
    editor_page: Page, viewer_page: Page, expect: Expect
) -> None:
    segment = Segment.objects.get(key="employee")
    address = f"/admin/featureflags/segment/{segment.pk}/change/"
    editor_page.goto(address)
    expect(editor_page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    viewer_page.goto(address)
    expect(viewer_page.get_by_role("heading", name="View segment")).to_be_visible()
    expect(viewer_page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    found = User.objects.get(email="vito@agpt.co").user_permissions.all()
    assert found.count() == 3 < Permission.objects.count()
