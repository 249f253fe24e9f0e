"""SQL equals Python over the kinds of another project: related rows, aggregates, lists, ages, organizations.

The rows are those of `tests.customers`, some of which lack a profile, a company, orders, tags or teams.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.kinds import registry
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.definitions import Clause, SegmentDefinition
from tests.customers.declarations import EmployeeKind, OrganizationKind
from tests.featureflags.audience.sql.people import DATES, HUGE
from tests.featureflags.audience.sql.strategies import NUMERIC_OPS, TEXT_OPS, rules, segment_matches
from tests.featureflags.audience.sql.test_against_python import Proof
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.worlds import companies, world
from tests.featureflags.segments.proof import PROOF

pytestmark = pytest.mark.django_db

ODD: Final[tuple[Any, ...]] = (None, True, False, 0, 1, "1", "", [], {}, HUGE, "a", 0.1, 5)
TEXTS: Final = ("A", "ac", "e", "@", "acme.example", "pro", "r", "ET", "Ü")
PATTERNS: Final = ("^A", "e$", "(?i)acme", "^$", "", "r|b", r"\.example$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Operators, and the types of the attributes that they are tried on; no type: on all."""

    ops: tuple[str, ...]
    types: tuple[AttributeType, ...] = ()


FAMILIES: Final[Mapping[str, Family]] = {
    "texts": Family(
        ops=("in", "exists", "matches", *TEXT_OPS), types=(AttributeType.STRING, AttributeType.LIST)
    ),
    "numbers": Family(ops=(*NUMERIC_OPS, "in", "exists"), types=(AttributeType.NUMBER,)),
    "instants": Family(ops=("before", "after", "exists"), types=(AttributeType.DATETIME,)),
    "anything": Family(
        ops=("in", "exists", "contains", "matches", "lessThan", "after", "semVerEqual")
    ),
}


def customers() -> None:
    world(1, size=60)


def organizations() -> None:
    for seed in range(20):
        companies(random.Random(seed))


MADE: Final[Mapping[str, Callable[[], None]]] = {USER: customers, "organization": organizations}


@pytest.fixture(params=sorted(MADE))
def kind(request: pytest.FixtureRequest) -> Iterator[CompiledKind]:
    """Customers with what belongs to them, or their companies; with rows."""
    with declared(EmployeeKind, OrganizationKind):
        MADE[request.param]()
        found = registry.kind_named(request.param)
        assert found is not None
        yield found


class Asked:
    """The attributes of a kind, and the values that its rows have."""

    def __init__(self, proof: Proof) -> None:
        self.kind, self.now, self.keys = proof.kind, proof.now, sorted(proof.people)
        self.types = {each.name: each.type for each in proof.kind.attributes}
        self.seen: dict[str, list[JSONValue]] = {}
        for attributes in proof.people.values():
            for name in self.types:
                value = attributes.get(name)
                found = value if isinstance(value, list) else [value]
                self.seen.setdefault(name, []).extend(each for each in found if each is not None)

    def clauses(self, family: Family) -> SearchStrategy[Clause]:
        """Random conditions, most of them on values that some row has."""
        names = [
            name for name, kind in self.types.items() if not family.types or kind in family.types
        ]
        assert names
        if not family.types:
            names += ["unheard_of", "kind", "anonymous"]
        return st.sampled_from(sorted(names)).flatmap(
            lambda name: st.builds(
                lambda op, values, negate: Clause(
                    attribute=name, op=op, values=tuple(values), negate=negate
                ),
                st.sampled_from(family.ops),
                st.lists(self.values(name), min_size=1, max_size=3),
                st.booleans(),
            )
        )

    def values(self, name: str) -> SearchStrategy[JSONValue]:
        seen = self.seen.get(name) or [None]
        odd = st.sampled_from([*ODD, *TEXTS, *PATTERNS, *DATES])
        return st.one_of(st.sampled_from(seen), st.sampled_from(seen), odd)

    def segments(
        self, key: str, clause: SearchStrategy[Clause]
    ) -> SearchStrategy[SegmentDefinition]:
        """Definitions with some members by name, whose time may be up."""
        until = st.sampled_from([None, self.now, self.now + 1, self.now - 1])
        named = st.sampled_from([*self.keys, "nobody", "01"])
        members: SearchStrategy[dict[str, int | None]] = st.one_of(
            st.just({}), st.dictionaries(named, until, max_size=20)
        )
        return st.builds(
            lambda found, included, excluded: SegmentDefinition(
                key=key, kind=self.kind.name, rules=found, included=included, excluded=excluded
            ),
            rules(clause),
            members,
            members,
        )


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_of_operators_gives_the_same_rows_and_counts(
    kind: CompiledKind, name: str
) -> None:
    family, proof = FAMILIES[name], Proof(kind, now_in_microseconds())
    asked = Asked(proof)

    @PROOF
    @given(asked.segments("s", asked.clauses(family)))
    def prove(definition: SegmentDefinition) -> None:
        members = proof.compare([definition], "s")
        proof.finish(definition, members)
        proof.count(definition, members)

    prove()
    proof.check(family.ops)


def test_nested_segments_give_the_same_rows_and_counts(kind: CompiledKind) -> None:
    proof = Proof(kind, now_in_microseconds())
    asked = Asked(proof)
    plain = st.one_of(*(asked.clauses(family) for family in FAMILIES.values()))
    nested = st.one_of(segment_matches("s1", "s2"), plain)

    @PROOF
    @given(asked.segments("s1", plain), asked.segments("s2", nested))
    def prove(one: SegmentDefinition, two: SegmentDefinition) -> None:
        proof.compare([one, two], "s2")
        proof.count_together([one, two])

    prove()
    proof.check(("segmentMatch", "in"))
