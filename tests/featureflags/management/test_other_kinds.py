"""The commands about segments take rows of another kind as `organization:KEY`."""

from __future__ import annotations

import json

import pytest

from featureflags.checks.segments import check_segments
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call
from tests.services import flag_json


@pytest.fixture
def acme(organizations: CompiledKind, db: None) -> Company:
    rules = [rule(clause("seats", "greaterThan", 50))]
    SegmentFactory.create(key="large", kind=ORGANIZATION, rules=rules)
    Company.objects.create(name="Small", seats=1)
    return Company.objects.create(name="Acme", seats=51)


def test_explain_segment(call: Call, acme: Company) -> None:
    for named in (f"organization:{acme.pk}", "organization:acme"):
        found = json.loads(call("explain_segment", "large", named, "--json").out)
        assert found["verdict"] is True
    user = UserFactory.create(email="ada@example.com")
    refused = call("explain_segment", "large", user.email).error
    assert "is on the kind 'organization': write organization:KEY" in str(refused)
    unknown = str(call("explain_segment", "large", "organization:999").error)
    assert unknown == "There is no organization '999'. The kinds are: user, organization."


def test_segment_members_and_sizes(call: Call, acme: Company) -> None:
    assert call("segment_members", "large").out == f"{acme.pk}  Acme\n"
    assert call("segment_members", "large", "--csv").out == f"key,name\n{acme.pk},Acme\n"
    sizes = json.loads(call("segment_sizes", "--json").out)
    assert sizes["segments"]["large"]["count"] == 1
    assert sizes["rows"] == {"user": 0, "organization": 2}
    shown = call("segment_sizes").out
    assert "1  50.0%" in shown
    assert "all of the kind organization" in shown


def test_the_segments_of_one_kind(call: Call, acme: Company) -> None:
    SegmentFactory.create(key="beta")
    sizes = json.loads(call("segment_sizes", "--kind", ORGANIZATION, "--explain", "--json").out)
    assert (sizes["rows"], [*sizes["segments"]]) == ({ORGANIZATION: 2}, ["large"])
    assert {cost["segment_key"] for cost in sizes["costs"]} == {"large"}
    assert [*json.loads(call("export_segments", "--kind", ORGANIZATION).out)["segments"]] == [
        "large"
    ]
    refused = call("export_segments", "large", "beta", "--kind", ORGANIZATION).error
    assert refused == "On the kind 'organization' there is no segment beta."
    linted = json.loads(call("check_segments", "--lint", "--kind", ORGANIZATION, "--json").out)
    assert [*linted] == ["large"]
    assert (
        call("check_segments", "--kind", ORGANIZATION, "x.json").error
        == "--kind belongs to --lint."
    )
    for command in ("segment_sizes", "export_segments", "warm_contexts"):
        assert call(command, "--kind", "firm").error == (
            "There is no kind 'firm'. The kinds are: user, organization."
        )


def test_the_check_names_a_kind_that_is_gone(db: None) -> None:
    SegmentFactory.create(key="large")
    Segment.objects.filter(key="large").update(name="Large")
    row = Segment.objects.filter(key="large")
    super(type(row), row).update(kind=ORGANIZATION)
    [warning] = check_segments(databases=["default"])
    assert "of the kind 'organization', which no app declares" in str(warning.msg)


def test_explain_flag(call: Call, acme: Company, flag_file: FlagFile) -> None:
    on_seats = {**flag_json.clause("seats", "greaterThan", 50), "contextKind": ORGANIZATION}
    half = {**flag_json.rollout(50_000, 50_000), "contextKind": ORGANIZATION}
    flag_file(
        flag_json.boolean_flag("planner", rules=[flag_json.rule(on_seats)], fallthrough=half),
        flag_json.boolean_flag("after", prerequisites=[flag_json.prerequisite("planner")]),
    )
    shown = call("explain_flag", "planner", "organization:acme").out
    assert "planner is true for organization:acme" in shown
    assert "rule 1 matches and decides: serves true\n" in shown
    assert "  + seats of the organization is more than 50: " in shown
    assert "by key of the organization; the organization falls at" in shown
    found = json.loads(call("explain_flag", "planner", "organization:small", "--json").out)
    assert (found["kind"], found["answer"]["reason"]["kind"]) == (ORGANIZATION, "FALLTHROUGH")
    [condition] = found["explanation"]["rules"][0]["conditions"]
    assert (condition["held"], condition["observed"]) == (False, 1)
    user = UserFactory.create(email="ada@example.com")
    assert (
        "there is no context of the kind organization"
        in call("explain_flag", "planner", user.email).out
    )
    assert "needs first the flag “planner”" in call("explain_flag", "after", user.email).out
    assert str(call("explain_flag", "none", user.email).error) == "There is no flag 'none'."
