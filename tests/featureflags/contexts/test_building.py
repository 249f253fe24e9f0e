"""From a snapshot to a LaunchDarkly context: what is in it, and what can never be."""

from __future__ import annotations

import decimal
import json
from typing import Any

import pytest
from ldclient import Context
from pytest_django.fixtures import Settings

from featureflags.contexts.attributes import Attribute, attributes_of, catalogue
from featureflags.contexts.building import bare_context, row_context, visitor_context, with_extra
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.sendable import InvalidAttribute
from featureflags.core import monitoring
from featureflags.core.times import to_rfc3339
from featureflags.kinds.attributes_of_fields import elapsed_days
from featureflags.kinds.snapshot import Snapshot
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.contexts.snapshots import DAY, NOW, RULES, snapshot


def context_of(found: Snapshot, now: int = NOW) -> dict[str, Any]:
    return row_context(found, RULES, now, source=ContextSource.LOADED).context.to_dict()


def test_the_example_of_the_documentation() -> None:
    context = context_of(snapshot())
    del context["_meta"]
    assert context == {
        "kind": "user",
        "key": "5f0c954e-9a57-4f1e-8f8e-0a4a3c1c3b52",
        "email": "ada@agpt.co",
        "email_domain": "agpt.co",
        "email_verified": True,
        "name": "Ada",
        "role": "user",
        "groups": ["editors"],
        "is_staff": False,
        "created_at": "2025-05-06T07:08:09.123456Z",
        "account_age_days": 365,
        "segments": ["employee", "established_user", "user"],
        "segment": {"employee": True, "established_user": True, "user": True},
        "custom_role": "admin",
    }


def test_the_sdk_makes_the_same_context_of_its_attributes() -> None:
    made = row_context(snapshot(), RULES, NOW, source=ContextSource.LOADED)
    visitor = visitor_context("0" * 32)
    without = with_extra(made, {"email": None, "plan": None, "seats": 3})
    assert without.context.get("email") is None
    assert without.context.get("seats") == 3
    for each in (made, visitor, without, with_extra(visitor, {"name": "Ada"})):
        context = each.context
        assert context == Context.from_dict(context.to_dict())
        assert context.valid
        assert context.fully_qualified_key == context.key


def test_email_and_name_are_private() -> None:
    private = context_of(snapshot())["_meta"]["privateAttributes"]
    assert sorted(private) == ["email", "name"]


def test_settings_name_other_private_attributes(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "PRIVATE_ATTRIBUTES": ["custom_role"]}
    private = context_of(snapshot())["_meta"]["privateAttributes"]
    assert sorted(private) == ["custom_role", "email", "name"]


def test_metadata_never_becomes_a_segment_by_itself() -> None:
    context = context_of(snapshot(metadata={"role": "admin", "segments": ["admin"], "key": "x"}))
    assert "admin" not in context["segments"]
    assert context["custom_segments"] == ["admin"]
    assert context["key"] != "x"


def test_what_a_user_does_not_have_is_left_out() -> None:
    context = context_of(snapshot(name="", metadata={"nothing": None}))
    assert not {"name", "last_seen_at", "days_since_last_seen", "custom_nothing"} & set(context)


def test_last_seen() -> None:
    context = context_of(snapshot(last_seen_at=NOW - 3 * DAY - 1))
    assert context["days_since_last_seen"] == 3
    assert context["last_seen_at"] == to_rfc3339(NOW - 3 * DAY - 1)


@pytest.mark.parametrize(
    ("age", "days"),
    [(0, 0), (DAY - 1, 0), (DAY, 1), (7 * DAY - 1, 6), (7 * DAY, 7), (-1, 0), (-5 * DAY, 0)],
)
def test_a_day_is_24_hours_floored_and_never_negative(age: int, days: int) -> None:
    assert elapsed_days(NOW - age, NOW) == days


def test_every_attribute_is_snake_case_and_json() -> None:
    attributes = attributes_of(snapshot(last_seen_at=NOW), NOW)
    assert set(catalogue()) <= set(attributes)
    assert all(name == name.lower() and name.isidentifier() for name in attributes)
    assert json.loads(json.dumps(attributes)) == attributes


def test_it_holds_until_the_account_s_next_birthday_minute() -> None:
    created = NOW - 10 * DAY - 5
    context = row_context(snapshot(created_at=created), RULES, NOW, source=ContextSource.LOADED)
    assert context.valid_until == created + 11 * DAY
    before = context_of(snapshot(created_at=created), created + 11 * DAY - 1)
    after = context_of(snapshot(created_at=created), created + 11 * DAY)
    assert (before["account_age_days"], after["account_age_days"]) == (10, 11)


def test_it_holds_until_a_date_moves_past_a_rule() -> None:
    hour = 3_600_000_000
    young = Clause(attribute="created_at", op="inLast", values=("PT1H",))
    rules = Ruleset([SegmentDefinition(key="young", rules=(Rule(clauses=(young,)),))])
    row = snapshot(created_at=NOW - hour // 2)
    context = row_context(row, rules, NOW, source=ContextSource.LOADED)
    assert (context.segments, context.valid_until) == (("young",), NOW + hour // 2 + 1)
    later = row_context(row, rules, NOW + hour // 2 + 1, source=ContextSource.LOADED)
    assert later.segments == ()


def test_bare_and_visitor() -> None:
    assert bare_context("k").context.to_dict() == {"kind": "user", "key": "k"}
    visitor = visitor_context("abc").context.to_dict()
    assert visitor == {
        "kind": "user",
        "key": "abc",
        "anonymous": True,
        "anonymous_key": "abc",
        "segments": [],
        "segment": {},
    }
    assert visitor_context(None).context.key == "anonymous"


ODD_ONE = Attribute(
    name="odd_one",
    type=AttributeType.ANY,
    label="Odd",
    value=lambda _snapshot, _now: decimal.Decimal("1.5"),  # type: ignore[arg-type,return-value]
)


class TestAnAttributeOfTheProjectThatIsNoJson:
    @pytest.fixture(autouse=True)
    def declared(self, settings: Settings) -> None:
        path = "tests.featureflags.contexts.test_building.ODD_ONE"
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ATTRIBUTES": [path]}

    def test_in_development_it_raises(self) -> None:
        with pytest.raises(InvalidAttribute, match="'odd_one' is a Decimal"):
            context_of(snapshot())

    def test_in_production_it_is_left_out_and_the_answer_is_degraded(
        self, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        found = row_context(snapshot(), RULES, NOW, source=ContextSource.LOADED)
        assert found.degraded == (Degradation.ATTRIBUTE_DROPPED,)
        assert found.context.get("odd_one") is None
        assert found.context.get("role") == "user"
        assert monitoring.counts()["attribute_dropped:odd_one"] == 1


def test_a_key_with_half_a_character_is_written_out() -> None:
    assert bare_context("a\ud800").context.key == "a\\ud800"
    assert visitor_context("a\ud800").context.get("anonymous_key") == "a\\ud800"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("list", {"segments": ["user"]}),
        ("object", {"segment": {"user": True}}),
        ("both", {"segments": ["user"], "segment": {"user": True}}),
    ],
)
def test_the_settings_decide_whether_segments_are_in_a_context(
    settings: Settings, shape: str, expected: dict[str, Any]
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SEGMENTS_AS": shape}
    shown = context_of(snapshot(email="ada@example.com", created_at=NOW))
    names = ("segments", "segment")
    assert {name: shown[name] for name in names if name in shown} == expected
