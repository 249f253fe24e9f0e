"""`segment_sizes`."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection

from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call


@pytest.fixture
def populated(db: None) -> None:
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])
    SegmentFactory.create(key="short", rules=[rule(clause("name", "matches", "^.{1,3}$"))])
    SegmentFactory.create(key="paused", is_active=False, rules=[rule(clause("role", "in", "user"))])
    UserFactory.create(name="Ann", metadata={"plan": "pro"})
    UserFactory.create(name="Bartholomew", metadata={"plan": "pro"})
    UserFactory.create(name="Eve")
    UserFactory.create(name="")


def test_every_segment_is_counted(call: Call, populated: None) -> None:
    answer = json.loads(call("segment_sizes", "--json").out)
    counts = {key: size["count"] for key, size in answer["segments"].items()}
    assert answer["users"] == 4
    assert counts["paying"] == 2
    assert counts["short"] == 2
    assert counts["user"] == 4
    assert counts["paused"] == 0
    shown = call("segment_sizes").out
    assert "paying            2  50.0%" in shown
    assert "all users         4" in shown


def test_an_estimate_reads_no_user(call: Call, populated: None) -> None:
    answer = json.loads(call("segment_sizes", "--json", "--estimate").out)["segments"]["short"]
    assert (answer["count"], answer["at_least"], answer["at_most"]) == (None, 0, 3)
    assert "regular expressions" in answer["why_inexact"][0]
    assert "0 to 3 (SQL has no such regular expressions" in call("segment_sizes", "--estimate").out


def test_it_explains_what_is_slow_and_which_index_would_help(call: Call, populated: None) -> None:
    answer = json.loads(call("segment_sizes", "--json", "--explain").out)
    costs = {(cost["segment_key"], cost["words"]): cost for cost in answer["costs"]}
    times = [cost["milliseconds"] for cost in answer["costs"]]
    assert times == sorted(times, reverse=True)
    assert "Python decides" in costs["short", 'name matches the expression "^.{1,3}$"']["advice"]
    assert "user_metadata" in costs["paying", 'custom_plan is any of "pro"']["advice"]
    shown = call("segment_sizes", "--explain").out.split("\n\n")[1:]
    heads = [re.search(r": (\w+), rule (\d), condition (\d) \(([\d,.]+) ms\)\n", s) for s in shown]
    assert len(heads) == 5
    assert all(shown[number].startswith(f"{number + 1}.: ") for number in range(1, 5))
    assert shown[0].startswith("Slowest: ")
    output = [head.groups() for head in heads if head is not None]
    assert output == sorted(output, key=lambda one: -float(one[3].replace(",", "")))
    for (key, *place, _), text in zip(output, shown, strict=True):
        [cost] = [
            cost
            for cost in answer["costs"]
            if [cost["segment_key"], str(cost["rule"]), str(cost["clause"])] == [key, *place]
        ]
        assert text.rstrip().endswith(f"\n  {cost['words']}\n  {cost['advice']}")
    if connection.vendor == "sqlite":
        domain = costs["employee", 'email_domain is any of "agpt.co"']
        assert domain["indexes"] == ["user_email_domain"]
