"""LaunchDarkly's segments that name several kinds answer here as its SDK does for the multi-context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings

from featureflags.audience.sql.compiler import compile_segment
from featureflags.contexts.attributes import attributes_of
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.types import Attributes, JSONValue
from featureflags.editing import import_remarks
from featureflags.evaluation.whole_contexts import whole_contexts
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named
from featureflags.segments.document_kinds import kinds_of_document
from featureflags.segments.export import dump_rules
from featureflags.segments.parsing import parse_rules
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.editing.several_kinds import (
    ASKED,
    KINDS,
    NOW,
    ORDER,
    ORGANIZATION,
    STAFF,
    USER,
    Json,
    Seen,
    condition,
    imported,
    segment_of,
    segments,
)
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.worlds import world
from tests.featureflags.segments.proof import SAMPLE
from tests.featureflags.segments.sdk import Sdk

pytestmark = pytest.mark.django_db

Rows = Mapping[str, Mapping[str, Attributes]]


@pytest.fixture
def rows() -> Iterator[Rows]:
    """The attributes of all rows, by kind and key."""
    with declared(*KINDS):
        world(3, size=10)
        yield {
            name: {row.key: attributes_of(row, NOW) for row in _snapshots(name)}
            for name in (ORDER, USER, ORGANIZATION)
        }


def _kind(name: str) -> CompiledKind:
    found = kind_named(name)
    assert found is not None
    assert found.problems == []
    return found


def _snapshots(name: str) -> list[Any]:
    kind = _kind(name)
    return kind.snapshots(kind.rows())


def _seen(rows: Rows) -> Seen:
    found: dict[str, dict[str, list[JSONValue]]] = {}
    for kind, by_key in rows.items():
        for name in ("key", *(name.removeprefix("/") for name in ASKED[kind])):
            values = [each[name] for each in by_key.values() if name in each]
            flat = [one for each in values for one in (each if isinstance(each, list) else [each])]
            found.setdefault(kind, {})[name] = sorted(
                {repr(one): one for one in flat}.values(), key=repr
            )
    return found


@pytest.mark.parametrize("own", [USER, ORDER])
def test_every_row_has_the_answer_of_the_sdk(sdk: Sdk, rows: Rows, own: str) -> None:
    of = [ORDER, USER, ORGANIZATION] if own == ORDER else [USER, ORGANIZATION]
    snapshots = _snapshots(own)
    contexts: list[dict[str, Any]] = [
        {"kind": "multi", **_parts(whole, rows)}
        for (whole,) in whole_contexts(snapshots, Ruleset(()), now=NOW)
    ]
    assert {len(each) for each in contexts} == ({3, 4} if own == ORDER else {2, 3})
    kind, counts = _kind(own), Counter[str]()

    @settings(SAMPLE, max_examples=SAMPLE.max_examples * 3)
    @given(segments(_seen(rows), of, own))
    def prove(segment: Json) -> None:
        assume(len(kinds_of_document(segment)) > 1 and own in kinds_of_document(segment))
        ruleset = Ruleset(imported(segment).values())
        assert ruleset.definitions["s"].kind == own
        members = set()
        for context in contexts:
            key = context[own]["key"]
            ours = ruleset.matches("s", rows[own][key], now=NOW)
            assert ours is sdk.answer([segment], "s", context), (segment, context)
            members |= {key} if ours else set()
            counts[str(ours)] += 1
        compiled = compile_segment(ruleset, "s", now=NOW)
        surely, at_most = (
            set(kind.keys(kind.rows().filter(each))) for each in (compiled.lower, compiled.upper)
        )
        assert surely <= members <= at_most
        assert surely == members or not compiled.exact

    prove()
    assert min(counts.values()) > sum(counts.values()) / 10, counts


def _parts(whole: SubjectContext, rows: Rows) -> Json:
    """What goes out together, with all that segments see of it."""
    parts = [one.context for one in whole.parts or (whole,)]
    return {part.kind: dict(rows[part.kind][part.key]) for part in parts}


def test_each_change_is_said_and_saved(rows: Rows) -> None:
    users, companies = sorted(rows[USER], key=int), sorted(rows[ORGANIZATION], key=int)
    nested: Json = {"attribute": "", "op": "segmentMatch", "values": ["all"]}
    segment = segment_of(
        STAFF,
        condition(ORGANIZATION, "staff", "in", "u1", negate=True),
        {**nested, "contextKind": ORGANIZATION},
        weight=10_000,
        rolloutContextKind=ORGANIZATION,
        included=users[:1],
        excluded=[users[1], "none"],
        includedContexts=[{"contextKind": ORGANIZATION, "values": [companies[0], "01"]}],
        excludedContexts=[{"contextKind": ORGANIZATION, "values": companies[1:2]}],
    )
    everybody: Json = {"key": "all", "version": 1, "rules": [{"clauses": []}]}

    found = imported(segment, everybody)["s"]

    one, two = (int(key) for key in companies[:2])
    assert (found.kind, [*found.included], [*found.excluded]) == (USER, users[:1], [])
    clauses = [
        condition(USER, "is_staff", "in", True),
        condition(USER, "colleagues", "in", "u1", negate=True),
        nested,
        condition(USER, "company_id", "exists", True),
        condition(USER, "key", "in", users[1], negate=True),
        condition(USER, "company_id", "in", two, negate=True, orMissing=True),
    ]
    of_company = {"rolloutContextKind": USER, "bucketBy": "company_id", "weight": 10_000}
    expected = [
        {"clauses": clauses, **of_company},
        {"clauses": [condition(USER, "company_id", "in", one)]},
    ]
    assert dump_rules(found.rules) == dump_rules(parse_rules(expected))
    assert import_remarks({"segments": {"s": segment}}) == [
        "s: Excluded: saved as a condition of each rule, since who is included by 'organization'"
        " comes first",
        "s: ExcludedContexts: 'organization' is saved as a condition of each rule on company_id",
        "s: Rule 1, condition 2: staff of 'organization' is saved as colleagues, if company_id is there",
        "s: Rule 1: the percentage by key of 'organization' is saved as one by company_id",
        "s: IncludedContexts: keys that 'organization' cannot have are left out: \"01\"",
        "s: IncludedContexts: 'organization' is saved as a rule of its own on company_id",
    ]


def test_a_share_of_zero_takes_those_without_such_a_row(rows: Rows) -> None:
    del rows
    segment = segment_of(STAFF, weight=0, rolloutContextKind=ORGANIZATION, bucketBy="seats")

    [rule] = imported(segment)["s"].rules

    assert (rule.weight, rule.clauses[1].attribute, rule.clauses[1].negate) == (
        None,
        "company_id",
        True,
    )
    assert import_remarks({"segments": {"s": segment}}) == [
        "s: Rule 1: 0 % of 'organization' takes those who have none: saved as a condition on company_id"
    ]


def test_a_segment_that_only_uses_it_is_of_its_kind(rows: Rows) -> None:
    del rows
    several = segment_of(condition(ORDER, "state", "in", "open"), STAFF)
    uses = segment_of({"attribute": "", "op": "segmentMatch", "values": ["s"]}) | {"key": "uses"}

    found = imported(several, uses)

    assert {key: one.kind for key, one in found.items()} == {"s": ORDER, "uses": ORDER}
