"""The editor of rules as its users see it: by the words on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page

from featureflags.models import Segment

ADD = "/admin/featureflags/segment/add/"


def change(segment: Segment) -> str:
    return f"/admin/featureflags/segment/{segment.pk}/change/"


@dataclass(frozen=True, slots=True)
class Editor:
    """The form of a segment on a page."""

    page: Page

    def add(self, key: str = "", name: str = "", *, kind: str = "") -> Editor:
        """Open the form of a new segment, and fill in what is not about rules.

        `kind`: where there are several.
        """
        self.page.goto(f"{ADD}?kind={kind}" if kind else ADD)
        return self.name(key, name) if key else self

    def name(self, key: str, name: str = "") -> Editor:
        """Fill in the key and the name of the form that is open."""
        typed = self.page.get_by_label("Key:")
        typed.fill(key)
        # As when a person leaves the field: from then on no key is proposed from the name.
        typed.dispatch_event("change")
        self.page.get_by_label("Name:").fill(name or key.title())
        return self

    def open(self, segment: Segment) -> Editor:
        self.page.goto(change(segment))
        return self

    def rule(self, number: int) -> Locator:
        return self.page.get_by_role("group", name=f"Rule {number}", exact=True)

    def condition(self, rule: int, number: int) -> Locator:
        return self.page.get_by_role("group", name=f"Rule {rule}, condition {number}", exact=True)

    @property
    def conditions(self) -> Locator:
        return self.page.locator(".rule-condition:not(.rule-share)")

    def add_rule(self) -> None:
        self.page.get_by_role("button", name="Add a rule").click()

    def add_condition(self, rule: int) -> None:
        self.rule(rule).get_by_role("button", name="Add a condition").click()

    def say(self, rule: int, number: int, attribute: str, comparison: str | None = None) -> Locator:
        """Choose the attribute and the comparison of a condition, by what the lists show."""
        condition = self.condition(rule, number)
        condition.get_by_label("Attribute", exact=True).select_option(label=attribute)
        if comparison is not None:
            condition.get_by_label("Comparison").select_option(label=comparison)
        return condition

    def values(self, condition: Locator) -> Locator:
        """Where the values of a condition are typed."""
        return condition.get_by_label("Values", exact=True)

    def chips(self, condition: Locator) -> list[str]:
        return condition.locator(".rule-chip > bdi").all_text_contents()

    def save(self, button: str = "Save") -> None:
        """Save, and confirm it where that is asked; the page that follows is there then."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()
        if self.page.get_by_role("heading", name="Please confirm").count():
            with self.page.expect_navigation():
                self.page.get_by_role("button", name="Save", exact=True).click()

    @property
    def impact(self) -> Locator:
        """The preview."""
        return self.page.get_by_role("region", name="Who this is")

    @property
    def summary(self) -> Locator:
        """The list of what to correct."""
        return self.page.locator(".rule-summary")


def stored(key: str) -> list[dict[str, Any]]:
    """The rules of a segment as they are saved."""
    rules: list[dict[str, Any]] = Segment.objects.get(key=key).rules
    return rules


def stored_clauses(key: str) -> list[dict[str, Any]]:
    """The conditions of a segment's only rule."""
    [rule] = stored(key)
    clauses: list[dict[str, Any]] = rule["clauses"]
    return clauses
