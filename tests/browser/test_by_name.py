"""Members by name: found as they are typed, imported, exported and removed; and none by accident."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Dialog, Expect, Page

from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.browser.conftest import PHONE, CheckAccessibility, OpenPage, Shot
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.services.flag_json import boolean_flag, segment_rule

LIST = "/admin/featureflags/segment/by-name/beta/"


@pytest.fixture
def beta(transactional_db: None, flag_file: FlagFile) -> Segment:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("beta")]))
    for name in ("ada", "bob", "cy"):
        UserFactory.create(email=f"{name}@x.io", name=name.title())
    segment: Segment = SegmentFactory.create(key="beta", name="Beta")
    return segment


def kinds() -> dict[str, str]:
    return dict(SegmentMember.objects.values_list("user__email", "kind"))


def test_from_the_segments_page_somebody_is_found_and_excluded(
    editor_page: Page,
    beta: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = editor_page
    page.goto(reverse("admin:featureflags_segment_change", args=[beta.pk]))
    expect(page.locator("#by-name")).to_contain_text("Included beats excluded")
    page.locator("#by-name .select2-selection").click()
    page.locator(".select2-search__field").last.fill("ad")
    page.get_by_role("option", name="ada@x.io").click()
    page.get_by_label("In or out").select_option(label="Excluded, whatever the rules say")
    page.get_by_label("Reason").fill("Asked to leave")
    check_accessibility(page)
    shot(page, "by-name-in-the-form")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Excluded 1 user: ada@x.io (“Asked to leave”)")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    page.goto(LIST)
    row = page.get_by_role("row", name="ada@x.io")
    expect(row).to_contain_text("Excluded")
    assert kinds() == {"ada@x.io": "exclude"}
    check_accessibility(page)
    shot(page, "by-name")


def test_a_list_is_corrected_imported_exported_and_removed(
    editor_page: Page,
    beta: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
    tmp_path: Path,
) -> None:
    page = editor_page
    page.goto(LIST)
    page.get_by_role("link", name="Import a list").click()
    upload = tmp_path / "list.csv"
    upload.write_text("name;e-mail\nAda;ADA@x.io\nNobody;nobody@x.io\nBob;bob@x.io\n")
    page.get_by_label("Or upload a CSV").set_input_files(upload)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Line 3: nobody has the e-mail nobody@x.io.")).to_be_visible()
    # What stood in the file can be corrected right here.
    text = page.get_by_label("Paste a list")
    expect(text).to_have_value("name;e-mail\nAda;ADA@x.io\nNobody;nobody@x.io\nBob;bob@x.io\n")
    check_accessibility(page)
    shot(page, "import-problems")
    assert kinds() == {}
    page.get_by_label("Import those who are found").check()
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Included 2 users:")).to_be_visible()
    expect(page.get_by_text("Left out: Line 3")).to_be_visible()
    check_accessibility(page)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("2 memberships were changed.")
    assert kinds() == {"ada@x.io": "include", "bob@x.io": "include"}
    assert HistoryEntry.objects.latest("pk").members.count() == 2
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        assert [row["email"] for row in csv.DictReader(file)] == ["ada@x.io", "bob@x.io"]
    page.get_by_label("Choose ada@x.io").check()
    page.get_by_role("button", name="Remove the selected users from the list").click()
    expect(page.get_by_text("No longer includes 1 user: ada@x.io")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("1 membership was changed.")
    expect(page.get_by_role("row", name="ada@x.io")).to_have_count(0)
    assert kinds() == {"bob@x.io": "include"}


def choose(page: Page, name: str) -> None:
    page.locator(".select2-selection").last.click()
    page.get_by_role("option", name=name).click()


def test_one_save_stores_what_was_typed_and_who_was_chosen(
    editor_page: Page, beta: Segment, expect: Expect
) -> None:
    page = editor_page
    page.goto(reverse("admin:featureflags_segment_change", args=[beta.pk]))
    page.get_by_label("Name:").fill("Typed")
    choose(page, "bob@x.io")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Please confirm: beta")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert kinds() == {"bob@x.io": "include"}
    assert Segment.objects.get(pk=beta.pk).name == "Typed"
    [entry] = HistoryEntry.objects.filter(segment_key="beta").order_by("-pk")[:1]
    assert entry.members.count() == 1


def test_a_reason_without_a_user_is_not_dropped_either(
    editor_page: Page, beta: Segment, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    page = editor_page
    page.goto(reverse("admin:featureflags_segment_change", args=[beta.pk]))
    page.get_by_label("Reason").fill("For whom?")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#content")).to_contain_text("Correct the user under")
    expect(page.locator("#by-name .errorlist")).to_have_text("This field is required.")
    expect(page.get_by_label("Reason")).to_have_value("For whom?")
    check_accessibility(page)


def test_the_list_asks_before_one_of_its_forms_drops_the_other(
    editor_page: Page, beta: Segment, expect: Expect
) -> None:
    SegmentMemberFactory.create(segment=beta, user__email="dora@x.io")
    page = editor_page
    page.goto(LIST)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    choose(page, "bob@x.io")
    page.get_by_label("Choose dora@x.io").check()
    page.get_by_role("button", name="Remove the selected").click()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".select2-selection").last).to_contain_text("bob@x.io")
    assert asked == ["confirm", "confirm"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(
    open_page: OpenPage,
    beta: Segment,
    check_accessibility: CheckAccessibility,
    shot: Shot,
    scheme: str,
) -> None:
    SegmentMemberFactory.create(segment=beta, reason="A reason of some length, read on a phone")
    page = open_page(UserFactory.create(superuser=True), viewport=PHONE, color_scheme=scheme)
    for name, address in (("by-name", LIST), ("import", f"{LIST}import/")):
        page.goto(address)
        check_accessibility(page)
        shot(page, f"{name}-phone-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
