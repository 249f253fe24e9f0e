"""What is said of rules is proven: a dead rule matches no context, one inside another adds nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.types import JSONValue
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.compiled_rules import compile_rule
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.lint import Finding, lint_rules
from featureflags.segments.ruleset import Ruleset
from featureflags.segments.value_sets import value_set
from tests.featureflags.segments.making import clause, in_segments
from tests.featureflags.segments.proof import EXAMPLES, PROOF
from tests.featureflags.segments.strategies import HUGE

TYPES: Mapping[str, AttributeType] = {
    "text": AttributeType.STRING,
    "number": AttributeType.NUMBER,
    "flag": AttributeType.BOOLEAN,
    "date": AttributeType.DATETIME,
    "version": AttributeType.SEMVER,
    "list": AttributeType.LIST,
    "any": AttributeType.ANY,
}
_texts: SearchStrategy[JSONValue] = st.sampled_from(["", "a", "ab", "b", "ba", "1", "c"])
_numbers: SearchStrategy[JSONValue] = st.sampled_from([0, 1, 1.0, 2, 2.5, -1, 3])
_dates: SearchStrategy[JSONValue] = st.sampled_from(
    ["2025-01-01T00:00:00Z", "2025-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", 0, 1738324800000]
)
_versions: SearchStrategy[JSONValue] = st.sampled_from(["1", "1.0.0", "1.0.0-rc", "2", "2.1.0"])
_booleans: SearchStrategy[JSONValue] = st.booleans()
_any: SearchStrategy[JSONValue] = st.one_of(
    _texts, _numbers, _dates, _versions, _booleans, st.sampled_from([HUGE, None, [], ["a"], {}])
)
OBSERVED: Mapping[str, SearchStrategy[JSONValue]] = {
    "text": _texts,
    "number": st.one_of(_numbers, _numbers, st.just(HUGE)),
    "flag": _booleans,
    "date": _dates,
    "version": _versions,
    "list": st.lists(_any, max_size=3),
    "any": st.one_of(_any, st.lists(_any, max_size=3)),
}
OPS: Mapping[str, SearchStrategy[JSONValue]] = {
    "in": st.one_of(_texts, _numbers, _booleans, st.sampled_from([None, ["a"], {}])),
    **dict.fromkeys(("startsWith", "endsWith", "contains"), _texts),
    "matches": st.sampled_from(["a", "^a", "b$", "."]),
    **dict.fromkeys(("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"), _numbers),
    **dict.fromkeys(("before", "after"), _dates),
    **dict.fromkeys(
        (
            *("semVerEqual", "semVerLessThan", "semVerGreaterThan"),
            *("semVerLessThanOrEqual", "semVerGreaterThanOrEqual"),
        ),
        _versions,
    ),
    "exists": st.just(True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clever(Clause):
    """A condition with an option that the lint has never heard of."""

    is_clever: bool = True


def clauses(attributes: Sequence[str]) -> SearchStrategy[Clause]:
    def build(op: str) -> SearchStrategy[Clause]:
        return st.builds(
            lambda attribute, values, negate: clause(
                op, *values, attribute=attribute, negate=negate
            ),
            st.sampled_from(attributes),
            st.lists(OPS[op], min_size=1, max_size=3),
            st.booleans(),
        )

    nested = st.builds(
        lambda keys, negate: in_segments(*keys, negate=negate),
        st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=2, unique=True),
        st.booleans(),
    )
    return st.one_of(st.sampled_from(sorted(OPS)).flatmap(build), nested)


def rules() -> SearchStrategy[list[Rule]]:
    """Rules on few attributes, so that their conditions meet."""

    def build(attributes: list[str]) -> SearchStrategy[list[Rule]]:
        rule = st.builds(
            lambda found, weight: Rule(clauses=tuple(found), weight=weight),
            st.lists(clauses(attributes), min_size=1, max_size=3),
            st.sampled_from([None, None, None, 0, 30_000, 60_000, 100_000]),
        )
        return st.lists(rule, min_size=1, max_size=3)

    return st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=2, unique=True).flatmap(
        build
    )


contexts = st.fixed_dictionaries(
    {"key": st.sampled_from(["u1", "u2", "u3", "u4"])}, optional=dict(OBSERVED)
)


def lint(*found: Rule) -> list[Finding]:
    return lint_rules(found, TYPES.get)


def test_no_context_matches_a_rule_that_is_called_dead_or_only_one_that_is_inside() -> None:
    counts: Counter[str] = Counter()

    @PROOF
    @given(
        rules(),
        st.lists(contexts, min_size=20, max_size=40),
        st.sets(st.sampled_from(["x", "y", "z"])),
    )
    def prove(found: list[Rule], people: list[dict[str, JSONValue]], within: set[str]) -> None:
        compiled = [
            compile_rule(rule, number=number, seed="s..")
            for number, rule in enumerate(found, start=1)
        ]
        findings = lint(*found)
        for finding in findings:
            counts[finding.code] += 1
            event(finding.code)
            others = [rule for place, rule in enumerate(compiled, start=1) if place != finding.rule]
            for person in people:
                if not compiled[finding.rule - 1].holds(person, within, 0):
                    continue
                assert not finding.is_dead, (found, person)
                assert any(rule.holds(person, within, 0) for rule in others), (found, person)

    prove()
    seen = [counts[code] for code in ("contradiction", "percentage", "duplicate", "inside")]
    assert min(seen) > EXAMPLES // 100, counts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (clause("in", "a", attribute="text"), clause("in", "b", attribute="text")),
        (clause("in", "a", attribute="any"), clause("in", "a", "b", attribute="any", negate=True)),
        (clause("in", "ab", attribute="any"), clause("startsWith", "a", attribute="any", negate=True)),
        (clause("startsWith", "ab", attribute="any"), clause("contains", "b", attribute="any", negate=True)),
        (clause("startsWith", "a", attribute="text"), clause("startsWith", "b", attribute="text")),
        (clause("lessThan", 1, attribute="number"), clause("greaterThan", 1, attribute="number")),
        (clause("lessThanOrEqual", 1, attribute="number"), clause("greaterThan", 1, attribute="number")),
        (clause("in", 3, attribute="number"), clause("lessThan", 3, attribute="number")),
        (clause("before", 5, attribute="date"), clause("after", 5, attribute="date")),
        (clause("semVerLessThan", "1", attribute="version"), clause("semVerGreaterThan", "2", attribute="version")),
        (clause("exists", True, attribute="any", negate=True), clause("in", "a", attribute="any", negate=True)),
        (clause("exists", True, attribute="any", negate=True), clause("exists", True, attribute="any")),
        (in_segments("x"), in_segments("x", "y", negate=True)),
    ],
)  # fmt: skip
def test_conditions_that_exclude_each_other_make_a_rule_dead(one: Clause, other: Clause) -> None:
    for pair in ((one, other), (other, one)):
        [finding] = lint(Rule(clauses=pair))
        assert (finding.code, finding.rule, finding.clause) == ("contradiction", 1, 2)
        assert finding.is_dead


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # A list has both.
        (clause("in", "a", attribute="any"), clause("in", "b", attribute="any")),
        (clause("lessThan", 1, attribute="list"), clause("greaterThan", 1, attribute="list")),
        (clause("lessThanOrEqual", 1, attribute="number"), clause("greaterThanOrEqual", 1, attribute="number")),
        (clause("in", True, attribute="any"), clause("in", 1, attribute="any", negate=True)),
        (clause("in", "a", attribute="text"), clause("in", "b", attribute="text", negate=True)),
        (in_segments("x", "y"), in_segments("x", negate=True)),
        (clause("soundsLike", "a", attribute="text"), clause("in", "b", attribute="text")),
    ],
)  # fmt: skip
def test_conditions_that_may_hold_together_are_not_named(one: Clause, other: Clause) -> None:
    assert lint(Rule(clauses=(one, other))) == []


def test_nothing_is_said_of_an_option_that_is_not_known() -> None:
    plain = clause("in", "a", attribute="text")
    clever = Clever(attribute="text", op="in", values=("b",))
    never = Clever(attribute="text", op="exists", values=(True,), negate=True)

    assert value_set(plain) is not None
    assert value_set(clever) is None
    assert lint(Rule(clauses=(plain, clever)), Rule(clauses=(plain, never))) == []


A = clause("in", "a", attribute="any")
A_OR_B = clause("in", "a", "b", attribute="any")
MORE = clause("greaterThan", 5, attribute="number")


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (Rule(clauses=(A,)), Rule(clauses=(A_OR_B,))),
        (Rule(clauses=(A, MORE)), Rule(clauses=(A_OR_B,))),
        (Rule(clauses=(A,)), Rule(clauses=(clause("exists", True, attribute="any"),))),
        (Rule(clauses=(MORE,)), Rule(clauses=(clause("greaterThanOrEqual", 5, attribute="number"),))),
        (Rule(clauses=(A,), weight=10), Rule(clauses=(A,), weight=20)),
        (Rule(clauses=(A,), weight=10), Rule(clauses=(A,))),
        (Rule(clauses=(in_segments("x"),)), Rule(clauses=(in_segments("x", "y"),))),
    ],
)  # fmt: skip
def test_a_rule_inside_another_is_named_with_the_other(narrow: Rule, wide: Rule) -> None:
    assert [(one.code, one.rule) for one in lint(narrow, wide)] == [("inside", 1)]
    assert [str(one) for one in lint(wide, narrow)] == [
        "Rule 2: rule 1 already matches all that it matches."
        " Remove it, or add a condition to rule 1."
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Rule(clauses=(A,)), Rule(clauses=(A_OR_B, MORE))),
        (Rule(clauses=(A,)), Rule(clauses=(A,), weight=20)),
        (Rule(clauses=(A,), weight=10), Rule(clauses=(A,), weight=20, bucket_by="text")),
        (
            Rule(clauses=(clause("in", True, attribute="any"),)),
            Rule(clauses=(clause("in", 1, attribute="any"),)),
        ),
    ],
)
def test_rules_that_add_somebody_are_not_named(one: Rule, other: Rule) -> None:
    assert [finding.rule for finding in lint(one, other)] in ([], [2])
    assert not any(finding.rule == 1 for finding in lint(one, other))


def test_of_equal_rules_each_but_the_first_is_named_once() -> None:
    found = [Rule(clauses=(A, MORE)), Rule(clauses=(MORE, A)), Rule(clauses=(A, MORE, A))]

    assert [(one.code, one.rule) for one in lint(*found)] == [("duplicate", 2), ("duplicate", 3)]


def test_a_dead_rule_is_not_compared_with_others() -> None:
    dead = Rule(clauses=(A,), weight=0)

    assert [(one.code, one.rule) for one in lint(dead, Rule(clauses=(A,)))] == [("percentage", 1)]


def test_many_values_are_not_compared_without_end() -> None:
    values = [f"v{number}" for number in range(30_000)]
    rule = Rule(clauses=(clause("in", *values, attribute="any"),))

    assert lint(*[rule] * 20) == []


def test_the_engine_agrees_that_a_dead_rule_takes_nobody() -> None:
    rule = Rule(clauses=(A, clause("in", "a", attribute="any", negate=True)))
    ruleset = Ruleset([SegmentDefinition(key="s", rules=(rule,))])

    assert lint(rule)[0].is_dead
    assert ruleset.match({"key": "u", "any": ["a", "b"]}, now=0) == frozenset()
