"""The percentage of a rule and the salt of a segment: in words, in the history, and whom they move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from featureflags.editing import apply, examine, export_segments, rules_in_words
from featureflags.editing.change_sentences import segment_in_words
from featureflags.editing.history import entries_of, restoration
from featureflags.models import Segment
from featureflags.models.changesets import SegmentState
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.editing.changing import PRO, change, deletion, people

CONDITION = clause("custom_plan", "in", "pro")
WORDS = 'plan is any of "pro"'
TENTH = "of these the first 10 % by User key"


def state(*rules: dict[str, Any], salt: str = "", kind: str = "user") -> SegmentState:
    given: dict[str, Any] = {"name": "Beta", "description": "", "is_active": True, "kind": kind}
    return SegmentState(key="beta", version=1, rules=list(rules), salt=salt, **given)


WHOLE = state(rule(CONDITION))
PART = state(rule(CONDITION, weight=10_000))


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (None, PART, ["Created as “Beta”", f"Added rule 1: {WORDS}, {TENTH}"]),
        (PART, PART, []),
        (WHOLE, PART, [f"Rule 1: added percentage: {TENTH}"]),
        (PART, WHOLE, [f"Rule 1: removed percentage: {TENTH}"]),
        (
            PART,
            state(rule(CONDITION, weight=12_500, bucketBy="custom_company")),
            [f"Rule 1: changed percentage: {TENTH} → of these the first 12.5 % by company"],
        ),
        (PART, replace(PART, salt="x"), ['Salt changed to "x": percentages take others']),
    ],
)
def test_a_change_is_told_in_words(
    old: SegmentState | None, new: SegmentState, lines: list[str]
) -> None:
    assert segment_in_words(old, new) == lines


def test_rules_of_another_kind_name_its_attributes() -> None:
    assert rules_in_words(state(rule(CONDITION, weight=500, bucketBy="custom_x"), kind="other"))[
        0
    ].endswith("of these the first 0.5 % by x")


@pytest.mark.django_db
class TestStored:
    @pytest.fixture
    def segment(self) -> Segment:
        people(60, plan="pro")
        return SegmentFactory.create(key="beta", rules=[{**PRO[0], "weight": 50_000}])

    def test_another_salt_moves_users_and_is_examined_as_rules_are(self, segment: Segment) -> None:
        examined = change(segment, salt="x")

        assert examined.change.moves_by_rules
        assert examined.moved.entering > 5
        assert examined.moved.leaving > 5
        apply(examined, source="admin")
        assert Segment.objects.get(key="beta").salt == "x"
        assert not change(Segment.objects.get(key="beta"), name="Other").moved.count

    def test_a_restored_segment_takes_the_same_users(self, segment: Segment) -> None:
        apply(change(segment, salt="x"), source="admin")
        apply(deletion(Segment.objects.get(key="beta")), source="admin")

        apply(examine(restoration(entries_of("beta")[0]).change), source="admin")

        restored = Segment.objects.get(key="beta")
        assert (restored.salt, restored.rules[0]["weight"]) == ("x", 50_000)

    @pytest.mark.parametrize("native", [True, False])
    def test_the_export_has_the_salt_and_the_percentage(
        self, segment: Segment, native: bool
    ) -> None:
        apply(change(segment, salt="x"), source="admin")

        exported = export_segments(["beta"], native=native)["segments"]

        assert isinstance(exported, dict)
        found = exported["beta"]
        assert isinstance(found, dict)
        assert found["salt"] == "x"
        assert isinstance(found["rules"], list)
        assert isinstance(found["rules"][0], dict)
        assert found["rules"][0]["weight"] == 50_000

    def test_why_shows_the_bucket(self, segment: Segment, client: Client) -> None:
        del segment
        client.force_login(UserFactory.create(superuser=True))
        pages = [self.why(client, metadata={"plan": "pro"}) for _ in range(8)]

        assert {section.verdict for section in pages} == {True, False}
        for section in pages:
            share = section.rules[0].conditions[-1]
            assert share.words == "of these the first 50 % by User key"
            assert share.held is section.verdict
            assert share.observed.startswith("their bucket is ")
            assert share.observed.endswith(" %, the rule takes the first 50 %")
            if not section.verdict:
                assert section.notes == ("Rule 1 comes closest: 1 condition does not hold.",)

    def why(self, client: Client, **fields: Any) -> Any:
        args = ["beta", UserFactory.create(**fields).pk]
        return client.get(reverse("admin:featureflags_why_segment", args=args)).context["section"]

    def test_rest_shows_and_takes_the_salt(self, segment: Segment) -> None:
        del segment
        api = APIClient()
        api.force_authenticate(UserFactory.create(superuser=True))
        url = "/api/v1/segments/beta/"
        assert api.get(url).json()["salt"] == ""

        asked = api.patch(url, {"salt": "x"}, format="json")
        confirm = asked.json().get("confirm", "")
        api.patch(url, {"salt": "x", "confirm": confirm}, format="json")

        assert api.get(url).json()["salt"] == "x"
        explained = api.get(f"{url}explain/", {"subject": str(UserFactory.create().pk)}).json()
        assert explained["rules"][0]["percentage"]["held"] in {True, False}
