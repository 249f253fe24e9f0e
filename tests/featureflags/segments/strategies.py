"""Random definitions and users, odd ones included, for each family of operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition

USERS = ("u1", "u2", "u3")
HUGE = 10**400

Json = dict[str, JSONValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Operators that share a kind of value: what clauses hold, and what users have."""

    name: str
    ops: tuple[str, ...]
    clause_values: SearchStrategy[JSONValue]
    observed: SearchStrategy[JSONValue]
    attributes: Mapping[str, str | None] = field(
        default_factory=lambda: {"a": None, "b": None, "/o/x": "user", "/a": None, "/b": "user"}
    )


_ODD: SearchStrategy[JSONValue] = st.sampled_from(
    [None, True, False, 0, 1, 1.0, -1, "", "1", "true", "é", "𝒳", [], {}, [None], 0.5]
)

# Inside, no 0 and no 1: there the SDK takes a boolean for a number, and we do not.
_leaves = st.sampled_from(["x", "y", None, 2, 2.0, 3, True, False, "2", HUGE])
_nested = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_leaves=4,
)
_equal_scalars: SearchStrategy[JSONValue] = st.sampled_from(
    [0, 1, 1.0, True, False, "1", "a", "A", "", HUGE, float(2**53), 2**53 + 1, float("nan"), "é"]
)
_equality: SearchStrategy[JSONValue] = st.one_of(_equal_scalars, _equal_scalars, _nested)

_text = st.text(alphabet="abAé", max_size=4)

_atoms = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "(a|b)", "(?:bc)", "é"])
_quantified = st.builds(
    lambda atom, suffix: atom + suffix, _atoms, st.sampled_from(["", "", "*", "+", "?", "{2}"])
)
_patterns = st.builds(
    lambda start, parts, end: start + "".join(parts) + end,
    st.sampled_from(["", "^"]),
    st.lists(_quantified, min_size=1, max_size=3),
    st.sampled_from(["", "$"]),
)

_numbers: SearchStrategy[JSONValue] = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), 2**53 + 1]),
    st.floats(-3, 3, allow_nan=False),
)

_instants: SearchStrategy[JSONValue] = st.sampled_from(
    [
        "2025-01-31T12:00:00Z",
        "2025-01-31T12:00:00.000001Z",
        "2025-01-31T12:00:00.000002Z",
        "2025-01-31 12:00:00z",
        "2025-01-31t13:00:00+01:00",
        "2025-01-31T12:00:00+0000",
        "2025-01-31T12:00:00-00:00",
        "2025-01-31T00:00:00-00:00",
        "2025-01-31T11:59:59.999999+00:00",
        "2025-01-31T12:00:00",
        "2025-01-31",
        "1738324800000",
        1738324800000,
        1738324800000.5,
        1738324799999,
        0,
        -1,
        "20250131T120000Z",
        "2025-W05-5T12:00Z",
        "2025-01-31T12:00:00,5Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "2025-01-31T24:00:00Z",
        "2025-02-30T12:00:00Z",
        "2025-01-31T12:00:00Z\n",
        " 2025-01-31T12:00:00Z",
        "",
    ]
)

_semver_parts = st.sampled_from(["0", "1", "2", "10", "02", "", "x", "9" * 20])
_prereleases = st.sampled_from(["rc", "rc.1", "rc.2", "rc.10", "1", "2", "alpha", "01", "", "é"])
_versions = st.builds(
    lambda prefix, parts, prerelease, build: prefix + ".".join(parts) + prerelease + build,
    st.sampled_from(["", "", "", "", "v", " "]),
    st.lists(_semver_parts, min_size=1, max_size=4),
    st.one_of(st.just(""), st.just(""), _prereleases.map(lambda text: f"-{text}")),
    st.sampled_from(["", "", "", "+build", "+b.1", "+", "\n", "\nx"]),
)
_good_versions = st.sampled_from(
    ["1", "1.0", "1.0.0", "1.0.0+b", "1.0.0-rc", "1-rc", "1.0.0-rc.1", "1.2", "2", "0.9.0", "1.10"]
)
_semvers: SearchStrategy[JSONValue] = st.one_of(_good_versions, _good_versions, _versions)


def _observed(values: SearchStrategy[JSONValue]) -> SearchStrategy[JSONValue]:
    """What a user may have: mostly a value, sometimes a list of them or something odd."""
    return st.one_of(values, values, values, st.lists(values, max_size=3), _ODD)


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="equality",
            ops=("in",),
            clause_values=st.one_of(_equality, _ODD),
            observed=_observed(_equality),
        ),
        Family(
            name="string",
            ops=("startsWith", "endsWith", "contains"),
            clause_values=st.one_of(_text, _text, _text, _ODD),
            observed=_observed(_text),
        ),
        Family(
            name="regex",
            ops=("matches",),
            clause_values=st.one_of(_patterns, _patterns, _patterns, st.just(1)),
            observed=_observed(st.text(alphabet="abcé", max_size=5)),
        ),
        Family(
            name="numeric",
            ops=("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"),
            clause_values=st.one_of(_numbers, _numbers, _numbers, _ODD),
            observed=_observed(st.one_of(_numbers, _numbers, _numbers, st.just(HUGE))),
        ),
        Family(
            name="date",
            ops=("before", "after"),
            clause_values=st.one_of(_instants, _instants, _instants, _ODD),
            observed=_observed(st.one_of(_instants, _instants, _instants, st.just(-HUGE))),
        ),
        Family(
            name="semver",
            ops=("semVerEqual", "semVerLessThan", "semVerGreaterThan"),
            clause_values=st.one_of(_semvers, _semvers, _semvers, _ODD),
            observed=_observed(_semvers),
        ),
    )
}


def clauses(family: Family) -> SearchStrategy[Json]:
    """LaunchDarkly's JSON of one clause."""

    def build(attribute: str, op: str, values: list[JSONValue], *, negate: bool) -> Json:
        clause: Json = {"attribute": attribute, "op": op, "values": values, "negate": negate}
        kind = family.attributes[attribute]
        return clause if kind is None else {**clause, "contextKind": kind}

    return st.builds(
        build,
        st.sampled_from(sorted(family.attributes)),
        st.sampled_from(family.ops),
        st.lists(family.clause_values, max_size=3),
        negate=st.booleans(),
    )


_percentages: SearchStrategy[Json] = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries(
        {"weight": st.sampled_from([0, 1, 50_000, 90_000, 100_000])},
        optional={
            "bucketBy": st.sampled_from(["", "a", "/o/x", "key"]),
            "rolloutContextKind": st.just("user"),
        },
    ),
)


def rules(clause: SearchStrategy[Json]) -> SearchStrategy[list[JSONValue]]:
    """One or two rules, none of them empty: that is a listed difference."""
    rule = st.builds(
        lambda found, percentage: {"clauses": found, **percentage},
        st.lists(clause, min_size=1, max_size=2),
        _percentages,
    )
    return st.lists(rule, min_size=1, max_size=2)


def segments(key: str, clause: SearchStrategy[Json]) -> SearchStrategy[Json]:
    """LaunchDarkly's JSON of one segment; most users are members by no name."""
    names: SearchStrategy[JSONValue] = st.one_of(
        st.just([]), st.just([]), st.just([]), st.lists(st.sampled_from(USERS))
    )
    return st.fixed_dictionaries(
        {
            "key": st.just(key),
            "version": st.just(1),
            "included": names,
            "excluded": names,
            "rules": rules(clause),
            "salt": st.sampled_from(["", "x"]),
        }
    )


def contexts(observed: SearchStrategy[JSONValue]) -> SearchStrategy[Json]:
    """A user's context: attributes may be missing, null, a list or an object."""
    return st.fixed_dictionaries(
        {"kind": st.just("user"), "key": st.sampled_from(USERS)},
        optional={
            "a": observed,
            "b": observed,
            "/a": observed,
            "o": st.one_of(st.fixed_dictionaries({"x": observed}), observed),
        },
    )


def definition(segment: Mapping[str, JSONValue]) -> SegmentDefinition:
    """The definition of a segment's JSON, unchecked, so that odd values reach the engine."""
    raw_rules = segment["rules"]
    assert isinstance(raw_rules, list)
    return SegmentDefinition(
        key=str(segment["key"]),
        rules=tuple(_rule(rule) for rule in raw_rules),
        included=_members(segment.get("included")),
        excluded=_members(segment.get("excluded")),
        salt=str(segment.get("salt", "")),
    )


def _members(listed: JSONValue) -> dict[str, int | None]:
    assert listed is None or isinstance(listed, list)
    return {str(key): None for key in listed or []}


def _rule(raw: JSONValue) -> Rule:
    assert isinstance(raw, dict)
    raw_clauses = raw["clauses"]
    assert isinstance(raw_clauses, list)
    weight, kind = raw.get("weight"), raw.get("rolloutContextKind")
    assert weight is None or isinstance(weight, int)
    return Rule(
        clauses=tuple(_clause(clause) for clause in raw_clauses),
        weight=weight,
        bucket_by=str(raw.get("bucketBy", "")),
        rollout_context_kind=None if kind is None else str(kind),
    )


def _clause(raw: JSONValue) -> Clause:
    assert isinstance(raw, dict)
    values, kind = raw["values"], raw.get("contextKind")
    assert isinstance(values, list)
    return Clause(
        attribute=str(raw["attribute"]),
        op=str(raw["op"]),
        values=tuple(values),
        negate=raw.get("negate") is True,
        context_kind=None if kind is None else str(kind),
    )


def operators_of(found: Sequence[Mapping[str, JSONValue]]) -> set[str]:
    """The operators in some segments' JSON."""
    return {
        clause.op
        for segment in found
        for rule in definition(segment).rules
        for clause in rule.clauses
    }


def attributes_of(context: Mapping[str, JSONValue]) -> Json:
    """What the engine sees of a context."""
    return {name: value for name, value in context.items() if name != "kind"}
