"""`flags_using`: which flags target a segment, and on which way."""

from __future__ import annotations

import json

import pytest

from tests.conftest import FlagFile
from tests.featureflags.management.conftest import Call
from tests.services.flag_json import boolean_flag, clause, prerequisite, rule, segment_rule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file(
        boolean_flag("direct", rules=[segment_rule("employee")]),
        boolean_flag("later", prerequisites=[prerequisite("direct")]),
        boolean_flag("negated", rules=[segment_rule("employee", "x", negate=True)]),
        boolean_flag("loose", rules=[rule(clause("segments", "contains", "user"))]),
        boolean_flag("dark", on=False, rules=[segment_rule("admin")]),
        boolean_flag("lost", rules=[segment_rule("not-in-django")]),
    )


def test_in_words(call: Call) -> None:
    assert call("flags_using", "employee").out.splitlines() == [
        'direct: rule 1, condition 1 of the flag “direct”: segments is any of "employee"',
        "later: the flag “later” needs the flag “direct” first, rule 1, condition 1 of the flag"
        ' “direct”: segments is any of "employee"',
        "negated: rule 1, condition 1 of the flag “negated”: segments is not any of"
        ' "employee" or "x"  (those who are not in it)',
    ]


def test_a_part_of_the_key_is_said_to_be_one(call: Call) -> None:
    assert "by a part of its key" in call("flags_using", "new_user").out


def test_json(call: Call) -> None:
    document = json.loads(call("flags_using", "employee", "--json").out)
    assert document["segment"] == "employee"
    assert document["flags"] == ["direct", "later", "negated"]
    assert [use["negated"] for use in document["uses"]] == [False, False, True]
    assert (
        document["uses"][1]["path"][0]["words"] == "the flag “later” needs the flag “direct” first"
    )


def test_none(call: Call) -> None:
    ended = call("flags_using", "system")
    assert (ended.out, ended.error) == ("No flag targets the segment 'system'.\n", None)


def test_a_flag_that_is_off_is_said_to_be(call: Call) -> None:
    assert call("flags_using", "admin").out.endswith("(off now)\n")


def test_a_segment_that_only_flags_know(call: Call) -> None:
    assert call("flags_using", "not-in-django").out.startswith("lost: ")


def test_one_that_nobody_knows(call: Call) -> None:
    assert call("flags_using", "employe").error == (
        "There is no segment 'employe'. Did you mean 'employee'?"
    )
