"""The kind of a segment is chosen first; its editor and its preview are of that kind."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import Expect, Page

from featureflags.kinds.compiled import CompiledKind
from featureflags.models import SegmentMember
from tests.browser.conftest import Shot
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, clause, rule


def test_a_segment_of_companies_is_made_and_looked_at(
    superuser_page: Page, organizations: CompiledKind, expect: Expect, shot: Shot
) -> None:
    Company.objects.create(name="Small", seats=1)
    for number in range(8):
        Company.objects.create(name=f"Acme {number}", seats=51)
    rules = [rule(clause("seats", "greaterThan", 50))]
    large = SegmentFactory.create(key="large", name="Large", kind=ORGANIZATION, rules=rules)
    small = Company.objects.get(name="Small")
    SegmentMember.objects.create(segment=large, key=str(small.pk), reason="A pilot")
    page = superuser_page
    page.goto(reverse("admin:featureflags_segment_add"))
    shot(page, "kinds-choose")
    page.get_by_role("link", name="organization").click()
    page.get_by_role("button", name="Add a rule").click()
    shot(page, "kinds-add")
    page.goto(reverse("admin:featureflags_segment_change", args=[large.pk]))
    expect(page.locator(".impact")).to_contain_text("9 of the companies")
    expect(page.locator(".impact")).to_contain_text("Acme 0")
    shot(page, "kinds-change")
    for name, args in (
        ("segment_changelist", []),
        ("segment_members", ["large"]),
        ("segment_by_name", ["large"]),
        ("why_segment", ["large", small.pk]),
    ):
        page.goto(reverse(f"admin:featureflags_{name}", args=args))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        shot(page, f"kinds-{name}")
    page.goto(reverse("admin:featureflags_why"))
    page.get_by_label("Who or what:").fill("Acme")
    page.get_by_label("Segment or flag:").select_option("segment:large")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("list", name="Found").get_by_role("button")).to_have_count(8)
    shot(page, "kinds-why-found")
    page.get_by_role("button", name="Acme 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is Acme 3 in large?")
