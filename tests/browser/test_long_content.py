"""Long lists of values, long names and many rules: folded, searched, and never wider than the page."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Expect, Page

from featureflags.models import Segment
from tests.browser.conftest import PHONE, CheckAccessibility, OpenPage, Shot, person_with
from tests.browser.editing import Editor, change, stored_clauses
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule

LONG = "n" * 190


def many(count: int) -> list[str]:
    return [f"value-{number:05}" for number in range(count)]


def height(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["height"]


def test_the_preview_stays_in_view_beside_many_rules(editor_page: Page, expect: Expect) -> None:
    """It was 2,400 pixels away: an ancestor hid what overflows. Remarks on many rules pushed it out again."""
    UserFactory.create(metadata={"plan": "pro"})
    rules = [
        {**rule(clause("custom_plan", "in", f"p{number}")), "weight": 5_000} for number in range(60)
    ]
    editor = Editor(editor_page).open(SegmentFactory.create(rules=rules))
    expect(editor.impact).to_contain_text("0 users match")
    # Each rule is remarked on: nobody has its value.
    expect(editor.impact).to_contain_text("Rule 20, condition 1")
    for number in (1, 30, 60):
        editor.rule(number).scroll_into_view_if_needed()
        expect(editor.impact.locator(".impact-number")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_long_list_is_folded_searched_and_emptied(
    open_page: OpenPage,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
    scheme: str,
) -> None:
    values = many(3_000)
    segment = SegmentFactory.create(key="long", rules=[rule(clause("name", "in", *values))])
    editor = Editor(open_page(person_with("change_segment", "view_user"), color_scheme=scheme))
    page = editor.open(segment).page
    condition = editor.condition(1, 1)
    expect(condition).to_contain_text("3,000 values")
    expect(condition).to_contain_text("and 2,940 more")
    # The editor was 92,000 pixels high.
    assert height(page, ".rule") < 500
    expect(editor.impact).to_contain_text("0 users match")
    check_accessibility(page)
    shot(page, f"long-list-{scheme}")
    condition.get_by_label("Find a value").fill("02999")
    expect(condition.locator(".rule-chip")).to_have_text(["value-02999×"])
    condition.get_by_role("button", name="Remove value-02999").click()
    expect(condition).to_contain_text("2,999 values")
    condition.get_by_role("button", name="Remove all").click()
    expect(condition.locator(".rule-chip")).to_have_count(0)
    condition.get_by_role("button", name="Undo").click()
    expect(condition).to_contain_text("2,999 values")
    editor.save()
    assert stored_clauses("long")[0]["values"] == values[:-1]


def test_a_pasted_list_of_40_000_values_stays_fluid(editor_page: Page, expect: Expect) -> None:
    """Comparing each with each took minutes. The bound is far from both."""
    editor = Editor(editor_page).add("pasted")
    editor.add_rule()
    condition = editor.say(1, 1, "Name", "is any of")
    values = many(40_000)
    seconds = editor.values(condition).evaluate(
        """(input, text) => {
            const data = new DataTransfer();
            data.setData('text', text);
            const began = performance.now();
            input.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
            return (performance.now() - began) / 1000;
        }""",
        "\n".join(values),
    )
    assert seconds < 30
    expect(condition).to_contain_text("40,000 values")
    editor.values(condition).press_sequentially("one more")
    editor.save()
    assert stored_clauses("pasted")[0]["values"] == [*values, "one more"]


def test_a_draft_with_40_000_values_is_shown_in_the_editor(
    open_page: OpenPage, expect: Expect
) -> None:
    segment = SegmentFactory.create(rules=[rule(clause("name", "in", *many(40_000)))])
    page = open_page(UserFactory.create(superuser=True))
    Editor(page).open(segment)
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open as a draft").click()
    draft = opened.value
    with draft.expect_navigation():
        draft.get_by_role("button", name="Open in the editor").click()
    expect(draft.locator(".rule-condition").first).to_be_visible()


def test_the_list_and_the_sentences_fold_values(
    open_page: OpenPage, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    segment = SegmentFactory.create(
        key="many", name=LONG, rules=[rule(clause("name", "in", *many(300)))]
    )
    SegmentFactory.create(key="short", name="Short")
    page = open_page(UserFactory.create(superuser=True))
    page.goto(reverse("admin:featureflags_segment_changelist"))
    row = page.get_by_role("row", name="many")
    expect(row).to_contain_text('Name is any of "value-00000" or "value-00001" or "value-00002"')
    expect(row).to_contain_text("and 297 more")
    # It was 2,700 pixels high.
    assert height(page, "#result_list tbody tr") < 250
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, "list-with-long-values")
    viewer = open_page(person_with("view_segment"))
    viewer.goto(change(segment))
    expect(viewer.locator(".rule-sentence")).to_contain_text("and 297 more")
    expect(viewer.get_by_role("region", name="Who this is")).to_contain_text("match")
    viewer.get_by_text("Show all 300 values").click()
    expect(viewer.get_by_text('"value-00299"')).to_be_visible()
    check_accessibility(viewer)
    shot(viewer, "long-list-of-a-viewer")


@pytest.mark.parametrize("width", [PHONE["width"], 1280])
def test_no_name_pushes_a_page_apart(open_page: OpenPage, width: int, shot: Shot) -> None:
    segment = SegmentFactory.create(key="k" * 60, name=LONG, description=LONG, rules=[])
    person = UserFactory.create(email=f"{'e' * 60}@{'d' * 60}.example", name="N" * 140)
    SegmentMemberFactory.create(segment=segment, user=person, reason="r" * 190)
    shared = {"weight": 5_000, "bucketBy": f"custom_{LONG}"}
    segment.rules = [{**rule(clause("name", "in", LONG), description=LONG), **shared}]
    segment.save()
    reader = UserFactory.create(superuser=True, name="W" * 140)
    page = open_page(reader, viewport={"width": width, "height": 900})
    wide = []
    for name, parameters in (
        ("segment_changelist", []),
        ("segment_change", [segment.pk]),
        ("featureflags_segment_by_name", [segment.key]),
        ("featureflags_segment_members", [segment.key]),
        ("featureflags_segment_changes", [segment.key]),
        ("featureflags_usercontext", [person.pk]),
        ("featureflags_why_segment", [segment.key, person.pk]),
        ("index", []),
    ):
        full = f"featureflags_{name}" if name.startswith("segment_c") else name
        page.goto(reverse(f"admin:{full}", args=parameters))
        shot(page, f"long-names-{full}-{width}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(full)
    assert wide == []


def test_values_are_shown_as_they_are(
    editor: Editor, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    """No letter is raised, no number becomes "None", and no value turns the text around it."""
    page = editor.add("exact").page
    editor.add_rule()
    number = editor.say(1, 1, "Account age in days", "is less than")
    number.get_by_label("Value").fill("1e400")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(number.get_by_role("listitem")).to_have_text('\u2068"1e400"\u2069 is not a number.')
    number.get_by_label("Value").fill("7")
    editor.add_condition(1)
    name = editor.say(1, 2, "Name", "matches the expression")
    editor.values(name).fill("([a-z")
    editor.save()
    message = name.locator(".errorlist li").first
    expect(message).to_contain_text('"([a-z" is not a valid expression')
    case = message.evaluate("item => getComputedStyle(item, '::first-letter').textTransform")
    assert case == "none"
    page.get_by_role("button", name="Remove ([a-z").click()
    editor.values(name).fill("a\u202eb")
    editor.values(name).press("Enter")
    expect(name.locator(".rule-chip > bdi")).to_have_text("a\\u202eb")
    check_accessibility(page)
    editor.save()
    [_, saved] = Segment.objects.get(key="exact").rules[0]["clauses"]
    assert saved["values"] == ["a\u202eb"]
    page.goto(reverse("admin:featureflags_segment_changelist"))
    expect(page.get_by_role("row", name="exact")).to_contain_text('"a\\u202eb"')
