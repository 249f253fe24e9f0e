"""The cases as data: each holds here, and each is checked against the SDK as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from featureflags.segments.case_files import CaseResult, InvalidCases, run_cases
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.parsing import parse_definition
from tests.featureflags.segments.sdk import Sdk
from tests.featureflags.segments.strategies import Json

FILES = Path(__file__).parent / "cases"


def load(name: str) -> list[Json]:
    cases: list[Json] = json.loads((FILES / name).read_text())["cases"]
    return cases


def by_name(*names: str) -> list[object]:
    return [pytest.param(case, id=str(case["name"])) for name in names for case in load(name)]


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


def sdk_answers(sdk: Sdk, case: Json) -> dict[str, bool | None]:
    segments, context, expect = case["segments"], case["context"], case["expect"]
    assert isinstance(segments, list)
    assert isinstance(context, dict)
    assert isinstance(expect, dict)
    found = [segment for segment in segments if isinstance(segment, dict)]
    return {key: sdk.answer(found, key, context) for key in expect}


@pytest.mark.parametrize(
    "case", by_name("operators.json", "semantics.json", "differences.json", "extensions.json")
)
def test_the_engine_passes(case: Json) -> None:
    results = run_cases({"cases": [case]}, now=0).results
    assert results
    assert all(result.passed for result in results), "\n".join(
        line for result in results for line in result.lines()
    )


@pytest.mark.parametrize("case", by_name("operators.json", "semantics.json"))
def test_the_sdk_agrees(sdk: Sdk, case: Json) -> None:
    assert sdk_answers(sdk, case) == case["expect"]


@pytest.mark.parametrize("case", by_name("differences.json"))
def test_the_sdk_differs_only_where_we_name_it(sdk: Sdk, case: Json) -> None:
    assert sdk_answers(sdk, case) != case["expect"]


def test_the_cases_cover_every_operator() -> None:
    text = "".join(path.read_text() for path in FILES.glob("*.json"))
    assert {op for op in OPERATORS if f'"op": "{op}"' not in text} == set()


def example(**changes: object) -> dict[str, object]:
    clause = {"attribute": "plan", "op": "in", "values": ["pro"]}
    return {
        "name": "an example",
        "segments": [{"key": "s", "rules": [{"clauses": [clause]}]}],
        "context": {"kind": "user", "key": "u1", "plan": "free"},
        "expect": {"s": True},
        **changes,
    }


def run_one(**changes: object) -> CaseResult:
    [result] = run_cases({"cases": [example(**changes)]}, now=0).results
    return result


def test_a_failure_is_explained() -> None:
    result = run_one()
    assert not result.passed
    text = "\n".join(result.lines())
    assert "an example: expected the user to be in s" in text
    assert 'plan is "free": it is not any of "pro"' in text


def test_segments_of_the_database_replace_the_cases_own() -> None:
    clause = {"attribute": "plan", "op": "in", "values": ["free"]}
    live = parse_definition({"key": "s", "rules": [{"clauses": [clause]}]})
    [result] = run_cases({"cases": [example()]}, now=0, definitions=[live]).results
    assert result.passed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": {"kind": "multi", "key": "x"}}, '"context" must be an object of one kind'),
        ({"context": {"kind": "org", "key": "x"}}, "the context is of the kind 'org', and"),
        ({"context": {"kind": "user"}}, "the context must have a key"),
        ({"expect": {}}, '"expect" must map'),
        ({"expect": {"other": True}}, "it expects something of 'other', which is not a segment"),
        ({"expect": {"s": 1}}, "it must expect true or false of 's'"),
        ({"segments": None}, '"segments" must be a list'),
        ({"segments": [{"key": "s", "rules": 5}]}, "segment 1: The rules must be a list"),
        ({"segments": [{"key": "s"}, {"key": "s"}]}, "segment 2: the key 's' is used twice"),
        ({"now": "2025-01-01"}, '"now" must be an RFC 3339 instant'),
        ({"extra": 1}, "unknown field 'extra'"),
    ],
)
def test_a_case_in_no_format_is_named(changes: dict[str, object], message: str) -> None:
    ran = run_cases({"cases": [example(**changes), example(name="fine")]}, now=0)
    assert any(problem.startswith(f"an example: {message}") for problem in ran.problems)
    # All others run.
    assert [result.case for result in ran.results] == ["fine"]


@pytest.mark.parametrize("document", [None, [], {}, {"cases": {}}, {"cases": None}])
def test_a_document_in_no_format_is_refused(document: object) -> None:
    with pytest.raises(InvalidCases, match="cases"):
        run_cases(document, now=0)


def test_a_case_that_is_not_an_object_is_named_by_number() -> None:
    ran = run_cases({"cases": [example(), 5]}, now=0)
    assert "case 2: a case must be an object" in ran.problems
