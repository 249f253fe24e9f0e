"""SQL equals Python: for random definitions and odd users, for membership and for counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from hypothesis import event, given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.audience.sizes import segment_sizes
from featureflags.audience.sql.compiler import compile_segment
from featureflags.contexts.attributes import attributes_of
from featureflags.core.types import Attributes
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import user_kind
from featureflags.kinds.segmentation import resolver
from featureflags.segments.definitions import SEGMENT_MATCH, Clause, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.audience.sql.people import NOW, create_people
from tests.featureflags.audience.sql.strategies import FAMILIES, segment_matches, segments
from tests.featureflags.segments.proof import EXAMPLES, PROOF, SAMPLE, SMALLEST_SHARE

COUNTED_AT_ONCE = 20
FINISHED_EVERY = 20
"""One example in so many is also asked through the queryset's own methods."""


def keys(rows: QuerySet[Any]) -> set[str]:
    return {str(pk) for pk in rows.order_by().values_list("pk", flat=True)}


def renamed(definition: SegmentDefinition, prefix: str) -> SegmentDefinition:
    """The same segment under another key, and so are those that it names."""

    def clause(found: Clause) -> Clause:
        values = tuple(f"{prefix}{key}" for key in found.values)
        return replace(found, values=values) if found.op == SEGMENT_MATCH else found

    rules = tuple(
        replace(rule, clauses=tuple(map(clause, rule.clauses))) for rule in definition.rules
    )
    return replace(definition, key=f"{prefix}{definition.key}", rules=rules)


class Proof:
    """Compares SQL with Python, and keeps account of what was compared: all rows of a kind."""

    def __init__(self, kind: CompiledKind, now: int = NOW) -> None:
        self.kind, self.now = kind, now
        self.people: dict[str, Attributes] = {
            row.key: attributes_of(row, now) for row in kind.snapshots(kind.rows())
        }
        self.examples = 0
        self.pairs: Counter[bool] = Counter()
        self.shares: Counter[str] = Counter()
        self.waiting: list[tuple[SegmentDefinition, int]] = []

    def expected(self, ruleset: Ruleset, key: str) -> set[str]:
        return {
            user
            for user, attributes in self.people.items()
            if ruleset.matches(key, attributes, now=self.now)
        }

    def evaluated(self, ruleset: Ruleset, key: str) -> set[str]:
        """The members according to Python, entered into the account."""
        members = self.expected(ruleset, key)
        self._record(ruleset, members)
        return members

    def compare(self, definitions: Iterable[SegmentDefinition], key: str) -> set[str]:
        """Membership; gives the members back."""
        ruleset = Ruleset(definitions)
        members = self.evaluated(ruleset, key)
        compiled = compile_segment(ruleset, key, now=self.now)
        surely = keys(self.kind.rows().filter(compiled.lower))
        if compiled.exact:
            assert surely == members
        else:
            assert surely <= members <= keys(self.kind.rows().filter(compiled.upper))
        return members

    def finish(self, definition: SegmentDefinition, members: set[str]) -> None:
        """The queryset's own methods; and that nobody is on both sides, or on none."""
        if self.examples % FINISHED_EVERY == 0:
            asked = (self.kind.rows(), definition, self.now)
            assert keys(resolver().members(*asked)) == members
            assert keys(resolver().others(*asked)) == self.people.keys() - members

    def count(self, definition: SegmentDefinition, members: set[str]) -> None:
        """The one-pass count, of many definitions at once."""
        named = replace(definition, key=f"s{len(self.waiting):02}")
        self.waiting.append((named, len(members)))
        if len(self.waiting) == COUNTED_AT_ONCE:
            self.count_waiting()

    def count_together(self, definitions: Iterable[SegmentDefinition]) -> None:
        """The same for segments that name each other."""
        found = sorted(definitions, key=lambda definition: definition.key)
        ruleset, prefix = Ruleset(found), f"s{len(self.waiting):02}-"
        self.waiting += [
            (renamed(definition, prefix), len(self.expected(ruleset, definition.key)))
            for definition in found
        ]
        if len(self.waiting) >= COUNTED_AT_ONCE:
            self.count_waiting()

    def count_waiting(self) -> None:
        ruleset = Ruleset(definition for definition, _ in self.waiting)
        counted = segment_sizes(now=self.now, ruleset=ruleset, finish=self.examples % 500 == 0)
        assert counted.rows[self.kind.name] == len(self.people)
        for size, (definition, expected) in zip(counted.sizes, self.waiting, strict=True):
            assert size.at_least <= expected <= size.at_most, definition
            if not size.why_inexact:
                assert size.count == expected, definition
        self.waiting.clear()

    def _record(self, ruleset: Ruleset, members: set[str]) -> None:
        self.examples += 1
        self.pairs[True] += len(members)
        self.pairs[False] += len(self.people) - len(members)
        event("somebody matches" if members else "nobody matches")
        event("everybody matches" if len(members) == len(self.people) else "somebody does not")
        clauses = [
            clause
            for definition in ruleset.definitions.values()
            for rule in definition.rules
            for clause in rule.clauses
        ]
        for op in {clause.op for clause in clauses}:
            event(op)
            self.shares[op] += 1

    def check(self, ops: Collection[str]) -> None:
        """Fail unless enough was compared: matches, non-matches and every operator."""
        assert self.examples >= EXAMPLES
        assert min(self.pairs[True], self.pairs[False]) / self.pairs.total() >= SMALLEST_SHARE
        shares = {op: self.shares[op] / self.examples for op in ops}
        assert min(shares.values()) >= SMALLEST_SHARE, shares


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_of_operators_gives_the_same_members_and_counts(name: str) -> None:
    create_people()
    family, proof = FAMILIES[name], Proof(user_kind())

    @PROOF
    @given(segments("s", family.clauses()))
    def prove(definition: SegmentDefinition) -> None:
        members = proof.compare([definition], "s")
        proof.finish(definition, members)
        proof.count(definition, members)

    prove()
    proof.check(family.ops)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"])
def test_dates_move_in_the_zone_of_the_site(settings: Settings, zone: str) -> None:
    settings.TIME_ZONE = zone
    create_people()
    family, proof = FAMILIES["moving"], Proof(user_kind())

    @SAMPLE
    @given(segments("s", family.clauses()))
    def prove(definition: SegmentDefinition) -> None:
        members = proof.compare([definition], "s")
        proof.finish(definition, members)
        proof.count(definition, members)

    prove()


@pytest.mark.django_db
def test_nested_segments_give_the_same_members_and_counts() -> None:
    create_people()
    proof = Proof(user_kind())
    plain = st.one_of(*(FAMILIES[name].clauses() for name in ("equality", "columns", "regex")))
    nested = st.one_of(segment_matches("s1", "s2", "s3"), segment_matches("s1", "s2"), plain)

    @PROOF
    @given(segments("s1", plain), segments("s2", nested), segments("s3", nested))
    def prove(one: SegmentDefinition, two: SegmentDefinition, three: SegmentDefinition) -> None:
        # s2 and s3 may name each other or themselves: a cycle breaks those conditions.
        members = proof.compare([three, one, two], "s3")
        proof.count_together([one, two, three])
        if proof.examples % FINISHED_EVERY == 0:
            sizes = segment_sizes(now=NOW, ruleset=Ruleset([one, two, three])).sizes
            assert {size.key: size.count for size in sizes}["s3"] == len(members)

    prove()
    proof.check(("segmentMatch", "in"))


@pytest.mark.django_db
def test_the_pass_without_lists_gives_the_same_counts() -> None:
    """Where no metadata hold a list, the first pass is the last one: it is proven by itself."""
    create_people(lists=False)
    proof = Proof(user_kind())
    every = st.one_of(*(family.clauses() for family in FAMILIES.values()))

    @PROOF
    @given(segments("s", every))
    def prove(definition: SegmentDefinition) -> None:
        proof.count(definition, proof.evaluated(Ruleset([definition]), "s"))

    with CaptureQueriesContext(connection) as captured:
        prove()
        proof.count_waiting()
    passes = [query["sql"] for query in captured if "COUNT(*) FILTER" in query["sql"]]
    assert len(passes) >= EXAMPLES / COUNTED_AT_ONCE
    assert not [sql for sql in passes if " AS element" in sql]
    proof.check(("in", "exists", "startsWith", "lessThan"))
