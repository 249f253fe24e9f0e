"""Segments of another kind: SQL and memory agree, and every number is of that kind's rows."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any, Final

import pytest
from django.utils import timezone

from featureflags.audience import (
    AudienceFilter,
    How,
    SegmentAudience,
    clause_costs,
    count_everything,
    impact_of,
    next_transitions,
    segment_sizes,
    suggestions,
    unsaved_segment,
)
from featureflags.audience.querysets import Resolver
from featureflags.audience.sizes import moved_between
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of, catalogue
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import MICROSECONDS_PER_DAY
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment, SegmentMember, SegmentSize
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import parse_rules
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import UserFactory, clause, rule

NOW: Final = 1_790_000_000_000_000
DATES: Final = [
    datetime.date(year, month, day)
    for year, month, day in (
        *((1999, 12, 31), (2026, 8, 1), (2026, 8, 31), (2026, 9, 1), (2026, 9, 2), (2025, 12, 31)),
        *((1990, 9, 21), (1990, 9, 20), (1990, 9, 22), (2026, 9, 21), (2026, 9, 22), (1800, 9, 21)),
    )
]
LARGE = rule(clause("seats", "greaterThan", 50))

CLAUSES: Final[list[tuple[str, str, list[Any]]]] = [
    ("key", "in", ["1", "2", "03"]),
    ("key", "startsWith", ["1"]),
    ("kind", "in", ["organization"]),
    ("kind", "in", ["user"]),
    ("name", "in", ["Acme", "acme"]),
    ("name", "matches", ["^A"]),
    ("name", "contains", ["c"]),
    ("seats", "greaterThan", [50]),
    ("seats", "in", [1, 500]),
    ("revenue", "lessThan", [1]),
    ("revenue", "exists", [True]),
    ("discount", "in", [5, 0.1]),
    ("founded", "before", ["2000-01-01T00:00:00Z"]),
    ("founded", "in", ["1999-12-31T00:00:00-00:00"]),
    ("founded", "inLast", ["P20D"]),
    ("founded", "longerAgoThan", ["P1M"]),
    ("founded", "inNext", ["P1M"]),
    ("founded", "within", ["thisMonth", "lastYear"]),
    ("founded", "between", ["2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z"]),
    ("founded", "onDayOfYear", ["today", "12-31"]),
    ("age_days", "greaterThan", [365]),
    ("age_days", "exists", [True]),
    ("email", "exists", [True]),
    ("custom_plan", "in", ["pro"]),
]


def test_every_attribute_is_tried(organizations: CompiledKind) -> None:
    assert catalogue(ORGANIZATION).keys() <= {name for name, _, _ in CLAUSES}


def company(chance: random.Random) -> Company:
    return Company.objects.create(
        name=chance.choice(["Acme", "acme", "Ünion", ""]),
        seats=chance.choice([1, 50, 51, 500]),
        revenue=chance.choice([None, 0.5, -1.5, 1e300]),
        discount=chance.choice([None, Decimal("0.10"), Decimal("5.00")]),
        founded=chance.choice([None, *DATES]),
    )


@pytest.fixture
def companies(organizations: CompiledKind, db: None) -> list[Company]:
    chance = random.Random(12)
    UserFactory.create_batch(3)
    return [company(chance) for _ in range(15)]


def definition(key: str, *clauses: Any, **members: Any) -> SegmentDefinition:
    rules = parse_rules([{"clauses": list(clauses)}], ORGANIZATION) if clauses else ()
    return SegmentDefinition(key=key, kind=ORGANIZATION, rules=rules, **members)


def random_ruleset(chance: random.Random, keys: list[str]) -> Ruleset:
    """Three segments, the third of which uses the others; some members by name, one expired."""

    def one(key: str, *more: Any) -> SegmentDefinition:
        clauses = [
            clause(name, op, *values, negate=chance.random() < 0.5)
            for name, op, values in chance.sample(CLAUSES, chance.choice([1, 1, 2]))
        ]
        some = chance.sample(keys, 3)
        ends = chance.choice([None, NOW, NOW + 1])
        return definition(
            key, *clauses, *more, included={some[0]: ends}, excluded={some[1]: None, some[0]: None}
        )

    names = clause("", "segmentMatch", chance.choice(["a", "b"]), negate=chance.random() < 0.5)
    of_users = SegmentDefinition(
        key="people", rules=parse_rules([rule(clause("email", "exists", True))])
    )
    return Ruleset([one("a"), one("b"), one("c", names), of_users])


@pytest.mark.parametrize("seed", range(40))
def test_sql_and_memory_agree(
    companies: list[Company], organizations: CompiledKind, seed: int
) -> None:
    ruleset = random_ruleset(random.Random(seed), [str(each.pk) for each in companies])
    rows = {
        each.key: attributes_of(each, NOW) for each in organizations.snapshots(organizations.rows())
    }
    memory = {
        key: {
            row
            for row, attributes in rows.items()
            if key in ruleset.match(attributes, now=NOW, kind=ORGANIZATION)
        }
        for key in "abc"
    }
    sizes = {size.key: size for size in segment_sizes(now=NOW, ruleset=ruleset).sizes}
    empty = Ruleset([])
    moved = moved_between(empty, ruleset, ["a", "people"], now=NOW)
    for key, members in memory.items():
        assert sizes[key].count == len(members)
        assert sizes[key].rows == len(companies)
        audience = SegmentAudience(ruleset, key, now=NOW, wanted=AudienceFilter())
        assert {member.user.key for member in audience.everyone(4)} == members
        after = ruleset.definitions[key]
        impact = impact_of(after, before=empty.evolve([], version=1), now=NOW, seconds=60)
        if key != "c":
            assert impact.matching.at_least == impact.entering.at_least == len(members)
        assert impact.users.at_least == len(companies)
    assert sizes["people"].count == sizes["people"].rows == 3
    assert (moved["a"].entering, moved["people"].entering) == (len(memory["a"]), 3)
    assert ruleset.match(rows["1"], now=NOW) <= {"people"} if "1" in rows else True


def test_a_queryset_of_another_model_holds_none(
    companies: list[Company], organizations: CompiledKind
) -> None:
    everybody = definition("all", clause("seats", "greaterThan", 0))
    find = Resolver().members
    assert find(organizations.rows(), everybody, NOW).count() == len(companies)
    assert find(user_kind().rows(), everybody, NOW).count() == 0
    assert Resolver().others(user_kind().rows(), everybody, NOW).count() == 3


def test_pages_are_in_the_order_of_titles_that_rows_share(companies: list[Company]) -> None:
    ruleset = Ruleset([definition("all", clause("seats", "greaterThan", 0))])
    for expected in (None, 15):
        audience = SegmentAudience(
            ruleset, "all", now=NOW, wanted=AudienceFilter(), expected=expected
        )
        found: list[str] = []
        after = None
        while True:
            page = audience.page(4, after=after)
            found += [member.user.key for member in page.members]
            if not page.has_next:
                break
            after = found[-1]
        wanted = Company.objects.order_by("name", "pk").values_list("pk", flat=True)
        assert found == [str(pk) for pk in wanted]
        back = audience.page(4, before=found[8])
        assert [member.user.key for member in back.members] == found[4:8]


def stored(**fields: Any) -> Segment:
    segment = Segment(kind=ORGANIZATION, name="Large", **{"key": "large", **fields})
    segment.save()
    return segment


def test_stored_members_and_sizes(companies: list[Company]) -> None:
    small = Company.objects.create(name="Small", seats=1)
    segment = stored(rules=[LARGE])
    SegmentMember.objects.create(segment=segment, key=str(small.pk))
    large = Company.objects.filter(seats__gt=50).count()
    count_everything()
    size = SegmentSize.objects.get(segment=segment)
    assert (size.at_least, size.at_most, size.users) == (large + 1, large + 1, 16)
    now, ruleset = now_in_microseconds(), current_ruleset().ruleset
    wanted = AudienceFilter(how=How.BY_NAME)
    [named] = SegmentAudience(ruleset, "large", now=now, wanted=wanted).everyone()
    assert (named.user.key, named.user.name, named.rule) == (str(small.pk), "Small", None)
    lately = AudienceFilter(entered_days=1)
    found = SegmentAudience(ruleset, "large", now=now, wanted=lately).everyone()
    assert [member.user.key for member in found] == [str(small.pk)]


def test_an_unsaved_segment_has_the_members_and_rules_of_its_kind(
    companies: list[Company],
) -> None:
    small = Company.objects.create(name="Small", seats=1)
    segment = stored()
    SegmentMember.objects.create(segment=segment, key=str(small.pk))
    raw = [rule(clause("seats", "greaterThan", 50) | {"contextKind": ORGANIZATION})]
    impact = impact_of(unsaved_segment("large", raw, kind=ORGANIZATION), seconds=60)
    large = Company.objects.filter(seats__gt=50).count()
    assert impact.matching.at_least == large + 1
    assert impact.entering.at_least == large
    assert {each.title for each in impact.entering.samples} <= {"Acme", "acme", "Ünion"} | {
        str(each.pk) for each in companies
    }


def test_when_a_company_enters(organizations: CompiledKind, db: None) -> None:
    founded = (timezone.now() - datetime.timedelta(days=29)).date()
    young = Company.objects.create(name="Young", founded=founded)
    ruleset = Ruleset([definition("old", clause("age_days", "greaterThanOrEqual", 30))])
    snapshot = organizations.snapshot_of(young)
    now = now_in_microseconds()
    [transition] = next_transitions(ruleset, snapshot, now=now)
    assert (transition.entering, transition.attributes) == (("old",), ("age_days",))
    assert now < transition.at <= now + MICROSECONDS_PER_DAY


def test_costs_and_suggestions_are_of_the_kind(companies: list[Company]) -> None:
    ruleset = Ruleset([definition("large", clause("seats", "greaterThan", 50))])
    [cost] = clause_costs(ruleset, now=NOW)
    assert cost.words == "seats greaterThan 50" or "seats" in cost.words
    found = suggestions(ORGANIZATION)
    assert found["seats"].types == ("number",)
    assert any(value.startswith("1999") for value in found["founded"].values)
    assert "seats" not in suggestions()


def test_a_segment_of_a_kind_that_is_gone_holds_nobody(db: None) -> None:
    UserFactory.create()
    gone = SegmentDefinition(
        key="gone",
        kind=ORGANIZATION,
        rules=parse_rules([rule(clause("seats", "exists", True, negate=True))]),
    )
    [size] = segment_sizes(ruleset=Ruleset([gone])).sizes
    assert size.count == 0
