"""A change in sentences: cases as data."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from featureflags.editing import MemberChange
from featureflags.editing.change_sentences import (
    MemberGroup,
    NamedMember,
    member_groups,
    members_in_words,
    segment_in_words,
)
from featureflags.models.changesets import MemberState, SegmentState
from tests.factories import clause, rule

PRO = clause("custom_plan", "in", "pro")
BOTH = clause("custom_plan", "in", "pro", "team")
GERMAN = clause("custom_country", "in", "DE")
INTERN = clause("name", "contains", "(intern)", negate=True)


def state(*rules: dict[str, Any], **fields: Any) -> SegmentState:
    given = {"name": "Beta", "description": "", "is_active": True, **fields}
    return SegmentState(key="beta", version=1, rules=list(rules), **given)


WORDS = 'plan is any of "pro"'
CASES: list[tuple[str, SegmentState | None, SegmentState | None, list[str]]] = [
    ("nothing", state(rule(PRO)), state(rule(PRO)), []),
    ("created", None, state(rule(PRO)), ["Created as “Beta”", f"Added rule 1: {WORDS}"]),
    (
        "created inactive",
        None,
        state(is_active=False),
        ["Created as “Beta”", "Inactive: nobody is in it"],
    ),
    ("deleted", state(rule(PRO)), None, ["Deleted “Beta”", f"Removed rule 1: {WORDS}"]),
    ("neither", None, None, []),
    ("name", state(), state(name="B"), ["Name changed from “Beta” to “B”"]),
    ("description", state(), state(description="x\n y"), ["Description changed to “x y”"]),
    ("no description", state(description="x"), state(), ["Description removed"]),
    ("off", state(), state(is_active=False), ["Deactivated: nobody is in it now"]),
    ("on", state(is_active=False), state(), ["Activated"]),
    (
        "condition added",
        state(rule(PRO)),
        state(rule(PRO, GERMAN)),
        ['Rule 1: added condition: country is any of "DE"'],
    ),
    (
        "condition removed",
        state(rule(PRO, INTERN)),
        state(rule(PRO)),
        ['Rule 1: removed condition: Name does not contain "(intern)"'],
    ),
    (
        "condition changed",
        state(rule(PRO, description="Paying")),
        state(rule(BOTH, description="Paying")),
        [f'Rule 1 (Paying): changed condition: {WORDS} → {WORDS} or "team"'],
    ),
    (
        "rule described",
        state(rule(PRO)),
        state(rule(PRO, description="Paying")),
        ["Rule 1 (Paying): description changed to “Paying”"],
    ),
    (
        "rule no longer described",
        state(rule(PRO, description="Paying")),
        state(rule(PRO)),
        ["Rule 1: description removed"],
    ),
    (
        "rule added in front",
        state(rule(PRO)),
        state(rule(GERMAN), rule(PRO)),
        ['Added rule 1: country is any of "DE"'],
    ),
    (
        "rule removed in front",
        state(rule(GERMAN), rule(PRO)),
        state(rule(PRO)),
        ['Removed rule 1: country is any of "DE"'],
    ),
    (
        "another rule altogether",
        state(rule(PRO)),
        state(rule(GERMAN)),
        [f"Removed rule 1: {WORDS}", 'Added rule 1: country is any of "DE"'],
    ),
    (
        "the same rule by its id, with another condition",
        state(rule(PRO, id="a")),
        state(rule(GERMAN, id="a")),
        [
            f"Rule 1: removed condition: {WORDS}",
            'Rule 1: added condition: country is any of "DE"',
        ],
    ),
    (
        "the most alike is the same",
        state(rule(PRO), rule(GERMAN, INTERN)),
        state(rule(GERMAN, INTERN, BOTH)),
        [
            f"Removed rule 1: {WORDS}",
            f'Rule 1: added condition: {WORDS} or "team"',
        ],
    ),
    (
        "order",
        state(rule(PRO), rule(GERMAN)),
        state(rule(GERMAN), rule(PRO)),
        ["The order of the rules changed, which changes nothing else"],
    ),
    (
        "identifiers",
        state(rule(PRO, id="a")),
        state(rule(PRO, id="b")),
        ["Identifiers in the rules changed, which changes nothing else"],
    ),
    (
        "one is not true",
        state(rule(clause("custom_x", "in", 1))),
        state(rule(clause("custom_x", "in", True))),
        ["Rule 1: changed condition: x is any of 1 → x is true"],
    ),
    (
        "what words do not show",
        state(rule(PRO)),
        state(rule({**PRO, "contextKind": "user"})),
        [f"Rule 1: changed details of the condition {WORDS}"],
    ),
    (
        "a condition twice",
        state(rule(PRO, PRO)),
        state(rule(PRO)),
        [f"Rule 1: removed condition: {WORDS}"],
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "expected"), CASES, ids=[c[0] for c in CASES])
def test_what_differs_is_said(
    name: str, old: SegmentState | None, new: SegmentState | None, expected: list[str]
) -> None:
    assert segment_in_words(old, new) == expected


def test_broken_rules_are_described_too() -> None:
    broken = state({"clauses": "none"})
    assert segment_in_words(state(rule(PRO)), broken)
    assert segment_in_words(None, state(rule()))[-1] == "Added rule 1: (no condition)"


CLAUSES = st.sampled_from([PRO, BOTH, GERMAN, INTERN])
RULES = st.lists(
    st.tuples(st.lists(CLAUSES, min_size=1, max_size=3), st.sampled_from(["a", "b", "c", "d"])),
    max_size=4,
    unique_by=lambda pair: pair[1],
).map(lambda pairs: [rule(*clauses, id=name) for clauses, name in pairs])


@given(RULES, RULES)
def test_something_is_said_if_and_only_if_something_differs(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    assert bool(segment_in_words(state(*old), state(*new))) == (old != new)


def test_three_hundred_rules_that_all_change_are_paired() -> None:
    old = [rule(clause("custom_plan", "in", n), GERMAN) for n in range(300)]
    new = [rule(clause("custom_plan", "in", -n), GERMAN) for n in range(1, 301)]
    found = segment_in_words(state(*old), state(*new))
    assert len(found) == 300
    assert all("changed condition" in line for line in found)


ADA = uuid.UUID(int=1)
UNTIL = datetime.datetime(2027, 1, 1, 11, tzinfo=datetime.UTC)
INCLUDED = MemberState(kind="include", reason="", expires_at=None)
EXCLUDED = MemberState(kind="exclude", reason="", expires_at=None)
FOR_A_WHILE = MemberState(kind="include", reason="VIP", expires_at=UNTIL)

MEMBERS: list[tuple[MemberState | None, MemberState | None, list[str]]] = [
    (None, INCLUDED, ["Included 1 user: ada"]),
    (None, EXCLUDED, ["Excluded 1 user: ada"]),
    (INCLUDED, None, ["No longer includes 1 user: ada"]),
    (EXCLUDED, None, ["No longer excludes 1 user: ada"]),
    (EXCLUDED, INCLUDED, ["Included 1 user, excluded before: ada"]),
    (INCLUDED, EXCLUDED, ["Excluded 1 user, included before: ada"]),
    (
        INCLUDED,
        FOR_A_WHILE,
        [
            "Changed beginning, end or reason of 1 user: ada (until Jan. 1, 2027, noon "
            "(Europe/Berlin), “VIP”)"
        ],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), MEMBERS)
@override_settings(TIME_ZONE="Europe/Berlin")
def test_what_happened_to_a_member_is_said(
    before: MemberState | None, after: MemberState | None, expected: list[str]
) -> None:
    one = MemberChange(before=before, after=after)
    groups = member_groups({ADA: one})
    assert members_in_words(groups, "user", {str(ADA): "ada"}.__getitem__) == expected


def test_many_are_counted_and_a_few_named() -> None:
    new = MemberChange(before=None, after=INCLUDED)
    many = {uuid.UUID(int=number): new for number in range(5_000)}
    gone = MemberGroup(
        before="exclude", after="", count=1, some=(NamedMember(user=None, after=None),)
    )
    names = ", ".join(str(uuid.UUID(int=number)) for number in range(5))
    assert members_in_words([*member_groups(many), gone], "user") == [
        f"Included 5,000 users: {names}, 4,995 more",
        "No longer excludes 1 user: (deleted user)",
    ]


LONG = [f"v{number}" for number in range(300)]


def test_a_long_list_is_folded_and_its_change_names_what_came_and_went() -> None:
    old = state(rule(clause("custom_plan", "in", *LONG)))
    new = state(rule(clause("custom_plan", "in", *LONG[1:], "x", "y")))
    assert segment_in_words(old, new) == [
        'Rule 1: changed values of the condition plan is any of "v1" or "v2" or "v3" and 298 more:'
        ' added "x" or "y", removed "v0"'
    ]


def test_no_value_or_name_turns_the_text_around_it() -> None:
    old = state()
    new = state(rule(clause("custom_plan", "in", "x\u202ey", "\u05d0")), name="a\u202eb")
    assert segment_in_words(old, new) == [
        f"Name changed from “{old.name}” to “a\\u202eb”",
        'Added rule 1: plan is any of "x\\u202ey" or \u2068"\u05d0"\u2069',
    ]
