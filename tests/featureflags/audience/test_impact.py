"""What a change of a segment would do: equal to Python user by user, and true when time is up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featureflags.audience.impact import SAMPLES, impact_of, impact_on
from featureflags.audience.parts import Part
from featureflags.audience.sql.counting import MOST_COLUMNS
from featureflags.audience.unsaved import unsaved_segment
from featureflags.contexts.attributes import attributes_of
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.segments.definitions import InvalidDefinition, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.audience.impacts import LONG, LONG_NAMES, PAYING, ask, numbers
from tests.featureflags.audience.sql.people import NOW, create_people
from tests.featureflags.audience.sql.strategies import FAMILIES, segment_matches, segments
from tests.featureflags.segments.proof import EXAMPLES, PROOF
from users.models import User

PRO = rule(clause("custom_plan", "in", "pro"))


def sampled(part: Part) -> list[str]:
    return sorted(user.title for user in part.samples)


@pytest.fixture
def five(db: None) -> None:
    UserFactory.create(email="a@agpt.co", name="Ann", metadata={"plan": "pro"})
    UserFactory.create(email="b@agpt.co", name="Barbara", metadata={"plan": "free"})
    UserFactory.create(email="c@example.com", name="Charles", metadata={"plan": "team"})
    UserFactory.create(email="d@example.com", name="", metadata={})
    UserFactory.create(email="e@example.com", name="Eve", metadata={"plan": "pro"})


def test_more_columns_than_a_statement_may_have_are_judged_in_memory(five: None) -> None:
    """Found by a preview at the limits: it was a 500."""
    many = [rule(clause(f"custom_k{n}", "in", "x")) for n in range(MOST_COLUMNS)]
    impact = ask("paying", *many, PAYING)
    assert numbers(impact) == (3, 3, 0)
    assert (impact.users.at_least, impact.is_exact) == (5, True)


def test_all_matching_users_enter_a_new_segment(five: None) -> None:
    impact = ask("paying", PAYING)
    assert numbers(impact) == (3, 3, 0)
    assert (impact.users.at_least, impact.is_exact, impact.share) == (5, True, 0.6)
    assert sampled(impact.matching) == ["a@agpt.co", "c@example.com", "e@example.com"]
    assert impact.matching.samples == impact.entering.samples
    assert impact.leaving.samples == ()
    [ann] = [user for user in impact.matching.samples if user.name == "Ann"]
    assert ann.key == str(User.objects.get(name="Ann").pk)


def test_a_change_is_compared_with_what_is_saved(five: None) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    impact = ask("s", rule(clause("custom_plan", "in", "team", "free")))
    assert numbers(impact) == (2, 2, 2)
    assert sampled(impact.entering) == ["b@agpt.co", "c@example.com"]
    assert sampled(impact.leaving) == ["a@agpt.co", "e@example.com"]
    assert impact.moved.count == 4
    assert numbers(ask("s", PRO)) == (2, 0, 0)
    assert sampled(ask("s", PRO).matching) == ["a@agpt.co", "e@example.com"]


def test_members_count_and_an_inactive_segment_has_none(five: None) -> None:
    segment = SegmentFactory.create(key="s", rules=[PRO])
    dan = User.objects.get(email="d@example.com")
    ann = User.objects.get(email="a@agpt.co")
    SegmentMemberFactory.create(segment=segment, user=dan)
    SegmentMemberFactory.create(segment=segment, user=ann, kind=SegmentMember.Kind.EXCLUDE)
    assert numbers(ask("s", PAYING)) == (3, 1, 0)
    off = ask("s", PAYING, is_active=False)
    assert numbers(off) == (0, 0, 2)
    assert sampled(off.leaving) == ["d@example.com", "e@example.com"]
    Segment.objects.get(key="s").delete()
    segment = SegmentFactory.create(key="s", rules=[PRO], is_active=False)
    SegmentMemberFactory.create(segment=segment, user=dan)
    assert numbers(ask("s", PRO)) == (3, 3, 0)
    assert numbers(impact_of(SegmentDefinition(key="s"), seconds=LONG)) == (0, 0, 0)


def test_rules_may_name_other_segments(five: None) -> None:
    SegmentFactory.create(key="s", rules=[PRO])
    impact = ask("s", rule(clause("", "segmentMatch", "employee", negate=True)))
    assert numbers(impact) == (3, 2, 1)
    assert sampled(impact.leaving) == ["a@agpt.co"]


def test_users_for_whom_sql_cannot_decide_are_judged_in_python(five: None) -> None:
    impact = ask("s", LONG_NAMES)
    assert (numbers(impact), impact.is_exact) == ((2, 2, 0), True)
    assert sampled(impact.entering) == ["b@agpt.co", "c@example.com"]
    SegmentFactory.create(key="s", rules=[LONG_NAMES])
    impact = ask("s", LONG_NAMES, rule(clause("email", "in", "d@example.com", "b@agpt.co")))
    assert numbers(impact) == (3, 1, 0)
    assert sampled(impact.matching) == ["b@agpt.co", "c@example.com", "d@example.com"]
    assert sampled(impact.entering) == ["d@example.com"]
    assert sampled(ask("s", PRO).leaving) == ["b@agpt.co", "c@example.com"]


def test_named_users_are_judged_by_themselves(five: None) -> None:
    """As for a change of memberships, which moves nobody else."""
    SegmentFactory.create(key="paying", rules=[PRO])
    by_email = {user.email[0]: str(user.pk) for user in User.objects.all()}
    after = SegmentDefinition(
        key="paying",
        rules=unsaved_segment("paying", [PRO]).rules,
        included={by_email["a"]: None, by_email["b"]: None},
        excluded={by_email["e"]: None},
    )
    named = [by_email[name] for name in "abde"]
    impact = impact_on(after, [*named, *named, "nobody"])
    assert (impact.users.at_least, impact.is_exact) == (4, True)
    assert numbers(impact) == (2, 1, 1)
    assert (sampled(impact.entering), sampled(impact.leaving)) == (
        ["b@agpt.co"],
        ["e@example.com"],
    )
    assert impact_on(after, [by_email["c"]]).moved.count == 0


def test_only_a_few_users_are_shown(db: None) -> None:
    for _ in range(SAMPLES + 2):
        UserFactory.create(name="Charles")
    for rules in ([LONG_NAMES], [rule(clause("name", "in", "Charles"))]):
        impact = ask("s", *rules)
        assert impact.matching.at_least == SAMPLES + 2
        assert len(set(impact.matching.samples)) == SAMPLES


def test_nobody_at_all(db: None) -> None:
    impact = ask("s", PAYING)
    assert (numbers(impact), impact.share) == ((0, 0, 0), 0.0)


def test_invalid_rules_are_refused(db: None) -> None:
    with pytest.raises(InvalidDefinition, match="Rule 1: add at least one condition"):
        unsaved_segment("s", [{"clauses": []}])


@pytest.mark.django_db
def test_the_numbers_are_those_of_python_user_by_user() -> None:
    create_people()
    people = {
        user.key: attributes_of(user, NOW) for user in user_kind().snapshots(User.objects.all())
    }
    plain = st.one_of(*(family.clauses() for family in FAMILIES.values()))
    any_clause = st.one_of(plain, plain, segment_matches("other"))
    moved = 0

    @settings(PROOF, max_examples=EXAMPLES // 10)
    @given(segments("s", any_clause), segments("s", any_clause), segments("other", plain))
    def prove(
        saved: SegmentDefinition, changed: SegmentDefinition, other: SegmentDefinition
    ) -> None:
        nonlocal moved
        before, after = Ruleset([saved, other]), Ruleset([changed, other])
        was_in, is_in = (
            {key for key, found in people.items() if rules.matches("s", found, now=NOW)}
            for rules in (before, after)
        )
        impact = impact_of(changed, before=before, now=NOW, seconds=LONG)
        assert impact.is_exact
        assert impact.users.at_least == len(people)
        parts = (impact.matching, impact.entering, impact.leaving)
        for part, expected in zip(parts, (is_in, is_in - was_in, was_in - is_in), strict=True):
            assert part.at_least == len(expected)
            assert len(part.samples) == min(SAMPLES, len(expected))
            assert {user.key for user in part.samples} <= expected
        moved += bool(is_in - was_in) and bool(was_in - is_in)

    prove()
    assert moved >= EXAMPLES // 200
