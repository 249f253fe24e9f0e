"""Random definitions that ask for what the random people have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from tests.featureflags.audience.sql.people import (
    DATES,
    HUGE,
    KEYS,
    NESTED,
    NOW,
    NUMBERS,
    TEXTS,
    VERSIONS,
)
from tests.featureflags.segments.strategies import FAMILIES as ENGINE_FAMILIES

JSON_ATTRIBUTES: Mapping[str, str | None] = {
    **dict.fromkeys(("custom_a", "custom_b", "custom_2024", "custom_a__b", "custom_a.b")),
    **dict.fromkeys(("custom_/a", 'custom_q"x', "custom_é", "custom_", "custom_o", "custom_none")),
    "/custom_o/x": "user",
    "/custom_o/a.b": "user",
    '/custom_o/q"x': "user",
    "/custom_o/0": "user",
    '/custom_q"x': "user",
    "/custom_o/x/x": "user",
}
TEXT_ATTRIBUTES = dict.fromkeys(("email", "email_domain", "name", "role", "groups", "key"))
OTHER_ATTRIBUTES = dict.fromkeys(
    (
        "email_verified",
        "is_staff",
        "kind",
        "anonymous",
        "_meta",
        "unheard_of",
        "/role",
        "created_at",
    )
)
INSTANT_ATTRIBUTES = dict.fromkeys(("created_at", "last_seen_at"))
DAY_ATTRIBUTES = dict.fromkeys(("account_age_days", "days_since_last_seen"))

ODD_ATTRIBUTES = dict.fromkeys(("name", "groups", "key", "is_staff", "kind", "unheard_of"))

TEXT_OPS = ("startsWith", "endsWith", "contains")
NUMERIC_OPS = ("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual")

_odd: SearchStrategy[JSONValue] = st.sampled_from([None, True, False, 0, 1, "1", "", [], {}, HUGE])
_texts: SearchStrategy[JSONValue] = st.sampled_from(TEXTS)
_numbers: SearchStrategy[JSONValue] = st.sampled_from(
    [*NUMBERS, float("inf"), float("-inf"), float("nan"), 10**15]
)
_columns: SearchStrategy[JSONValue] = st.sampled_from(
    [
        "AGPT.co",
        "ADMIN",
        "ÉÉÉÉÉÉÉ",
        "É",
        "example.com",
        "@",
        "co",
        "p1",
        "admin",
        "user",
        "Ab",
        "abc",
        "é",
        "a",
        "user.x",
    ]
)
_keys: SearchStrategy[JSONValue] = st.sampled_from([*KEYS, KEYS[0].upper(), KEYS[1][:9]])
_days: SearchStrategy[JSONValue] = st.sampled_from(
    [0, 1, 6, 7, 8, 30, 30.5, -1, 365, 19_999, 1e300, float("inf"), True, "7"]
)
_stored: SearchStrategy[JSONValue] = st.sampled_from(
    [
        *("2025-06-15T15:06:40Z", "2025-06-08T15:06:40Z", "2025-06-08T15:06:39.999999Z"),
        *("2025-06-08T17:06:40+02:00", "2024-06-15T15:06:40Z", 1_749_394_800_000.001, 0),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", 1e300, "2025-06-15", float("inf")),
    ]
)
_moving: SearchStrategy[JSONValue] = st.sampled_from(
    [
        *("PT1H", "P1D", "P7D", "P14D", "P2W", "P1M", "P13M", "P1Y", "P100Y", "P9999Y", "soon", 7),
        *("thisDay", "lastDay", "thisWeek", "lastWeek", "thisMonth", "lastMonth", "thisQuarter"),
        *("lastQuarter", "thisYear", "lastYear", "today", "today", "06-15", "02-29", "05-31"),
    ]
)
_patterns: SearchStrategy[JSONValue] = st.sampled_from(
    [
        "a",
        "^a",
        "b$",
        "^ab$",
        "a.",
        "[aA]b?",
        r"\.co$",
        r"@agpt\.co$",
        "^$",
        "",
        "(?i)ab",
        "é+",
        "^user",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Operators, the attributes that they look at, and the values that they look for."""

    ops: tuple[str, ...]
    attributes: Mapping[str, str | None]
    values: SearchStrategy[JSONValue]

    def clauses(self) -> SearchStrategy[Clause]:
        """Random clauses of this family."""
        return st.builds(
            lambda attribute, op, values, negate, ignore_case, or_missing: Clause(
                attribute=attribute,
                op=op,
                values=tuple(values),
                negate=negate,
                context_kind=self.attributes[attribute],
                ignore_case=ignore_case,
                or_missing=or_missing,
            ),
            st.sampled_from(sorted(self.attributes)),
            st.sampled_from(self.ops),
            st.lists(self.values, max_size=3),
            st.booleans(),
            st.sampled_from([False, False, True]),
            st.sampled_from([False, False, True]),
        )


FAMILIES = {
    "equality": Family(
        ops=("in", "exists"),
        attributes=JSON_ATTRIBUTES,
        values=st.one_of(_texts, _numbers, st.sampled_from(NESTED), st.sampled_from(DATES), _odd),
    ),
    "string": Family(
        ops=TEXT_OPS,
        attributes={**JSON_ATTRIBUTES, **TEXT_ATTRIBUTES},
        values=st.one_of(_texts, _texts, _columns, _odd),
    ),
    "regex": Family(
        ops=("matches",),
        attributes={**JSON_ATTRIBUTES, **TEXT_ATTRIBUTES},
        values=st.one_of(_patterns, _patterns, ENGINE_FAMILIES["regex"].clause_values),
    ),
    "numeric": Family(
        ops=NUMERIC_OPS,
        attributes=JSON_ATTRIBUTES,
        values=st.one_of(_numbers, _numbers, ENGINE_FAMILIES["numeric"].clause_values),
    ),
    "date": Family(
        ops=("before", "after"),
        attributes={**JSON_ATTRIBUTES, **INSTANT_ATTRIBUTES, **DAY_ATTRIBUTES},
        values=st.one_of(
            st.sampled_from(DATES), _stored, _stored, ENGINE_FAMILIES["date"].clause_values
        ),
    ),
    "semver": Family(
        ops=(
            *("semVerEqual", "semVerLessThan", "semVerGreaterThan"),
            *("semVerLessThanOrEqual", "semVerGreaterThanOrEqual"),
        ),
        attributes={**JSON_ATTRIBUTES, "name": None, "created_at": None},
        values=st.one_of(st.sampled_from(VERSIONS), ENGINE_FAMILIES["semver"].clause_values),
    ),
    "moving": Family(
        ops=("inLast", "inNext", "longerAgoThan", "within", "onDayOfYear"),
        attributes={**JSON_ATTRIBUTES, **INSTANT_ATTRIBUTES, **DAY_ATTRIBUTES, **ODD_ATTRIBUTES},
        values=_moving,
    ),
    "between": Family(
        ops=("between",),
        attributes={**JSON_ATTRIBUTES, **INSTANT_ATTRIBUTES, **DAY_ATTRIBUTES, **ODD_ATTRIBUTES},
        values=st.one_of(st.sampled_from(DATES), _stored, _stored),
    ),
    "ip": Family(
        ops=("ipInRange",),
        attributes={**JSON_ATTRIBUTES, **TEXT_ATTRIBUTES, **OTHER_ATTRIBUTES},
        values=st.sampled_from(
            [
                "10.0.0.0/8",
                "10.1.0.0/16",
                "2001:db8::/32",
                "0.0.0.0/0",
                "::/0",
                "10.0.0.1/8",
                "x",
                7,
            ]
        ),
    ),
    "length": Family(
        ops=("hasAtLeast", "hasAtMost"),
        attributes={**JSON_ATTRIBUTES, **TEXT_ATTRIBUTES, **OTHER_ATTRIBUTES, **DAY_ATTRIBUTES},
        values=st.sampled_from([0, 1, 2, 3, 1.5, -1, HUGE, "1", True]),
    ),
    "columns": Family(
        ops=("in", "exists", *TEXT_OPS, "lessThan", "semVerEqual", "matches"),
        attributes={**TEXT_ATTRIBUTES, **OTHER_ATTRIBUTES, **INSTANT_ATTRIBUTES},
        values=st.one_of(_columns, _columns, _keys, _stored, _odd),
    ),
    "days": Family(ops=(*NUMERIC_OPS, "in", "exists"), attributes=DAY_ATTRIBUTES, values=_days),
}


def rules(clause: SearchStrategy[Clause]) -> SearchStrategy[tuple[Rule, ...]]:
    """One or two rules; a rule without clauses matches nobody."""
    rule = st.builds(
        lambda found: Rule(clauses=tuple(found)),
        st.one_of(st.lists(clause, min_size=1, max_size=2), st.lists(clause, max_size=1)),
    )
    return st.lists(rule, min_size=1, max_size=2).map(tuple)


_until: SearchStrategy[int | None] = st.sampled_from([None, None, NOW, NOW + 1, NOW - 1])
_members: SearchStrategy[dict[str, int | None]] = st.one_of(
    st.just({}),
    st.just({}),
    st.dictionaries(st.sampled_from([*KEYS, "nobody", KEYS[2].upper()]), _until, max_size=40),
)


def segments(key: str, clause: SearchStrategy[Clause]) -> SearchStrategy[SegmentDefinition]:
    """Definitions, unchecked: what validation would refuse reaches the compiler too."""
    return st.builds(
        lambda found, included, excluded: SegmentDefinition(
            key=key, rules=found, included=included, excluded=excluded
        ),
        rules(clause),
        _members,
        _members,
    )


def segment_matches(*keys: str) -> SearchStrategy[Clause]:
    """Clauses that name segments, one of which does not exist."""
    return st.builds(
        lambda values, negate: Clause(
            attribute="", op="segmentMatch", values=tuple(values), negate=negate
        ),
        st.lists(st.sampled_from(["unknown", *keys]), max_size=2),
        st.booleans(),
    )
