"""What a segment names of other kinds, and no declaration reaches, is refused with what would reach it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models import IntegerField, OuterRef, Subquery

from featureflags.contexts.attributes import attributes_of
from featureflags.editing import NotImportable
from featureflags.evaluation.whole_contexts import whole_contexts
from featureflags.kinds import Kind, Number, Related, Text
from featureflags.kinds.registry import kind_or_user
from featureflags.segments.ruleset import Ruleset
from tests.customers.declarations import CustomerKind, EmployeeKind
from tests.customers.models import Person, Profile
from tests.customers.partners import Pass, Reseller
from tests.featureflags.editing.several_kinds import (
    KINDS,
    LARGE,
    NOW,
    ORDER,
    ORGANIZATION,
    STAFF,
    USER,
    Json,
    StaffedKind,
    condition,
    imported,
    segment_of,
)
from tests.featureflags.kinds.conftest import declared
from tests.featureflags.kinds.unusual_models.declarations import PassKind, PersonKind, ResellerKind
from tests.featureflags.segments.sdk import Sdk

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


ON = "the condition is on %r, and the segment on %r: "


OPEN = condition(ORDER, "state", "in", "open")


@pytest.mark.parametrize(
    ("others", "clause", "why"),
    [
        (
            [STAFF],
            condition("device", "a", "in", 1),
            ON % ("device", USER) + "there is no kind 'device'",
        ),
        (
            [STAFF],
            condition(ORGANIZATION, "size", "in", 1),
            ON % (ORGANIZATION, USER) + "'organization' has no attribute 'size'",
        ),
        (
            [STAFF],
            condition(ORGANIZATION, "key", "startsWith", "1"),
            ON % (ORGANIZATION, USER)
            + "its keys are numbers here, of which only “in” can be asked",
        ),
        (
            [OPEN],
            condition(USER, "orders", "in", 1),
            ON % (USER, ORDER) + "'orders' of 'user' is computed, so that no path leads to it",
        ),
        (
            [OPEN, STAFF],
            condition(ORDER, "kind", "in", ORGANIZATION, USER),
            "the condition is on the names of kinds, and the segment on 'order': it is true of"
            " several: 'organization', 'user'",
        ),
    ],
)
def test_what_no_attribute_says_is_refused_in_words(
    others: list[Json], clause: Json, why: str
) -> None:
    with declared(*KINDS), pytest.raises(NotImportable) as refused:
        imported(segment_of(*others, clause))

    assert refused.value.problems == (f"s: Rule 1, condition {len(others) + 1}: {why}",)


class Directly(EmployeeKind):
    """Led to the company in two ways."""

    name = USER
    order = Related("profile", kind="profile")


class ProfileKind(Kind):
    name = "profile"
    model = Profile
    company = Related("company", kind=ORGANIZATION)


def company_of(customer: OuterRef) -> Subquery:
    found = Profile.objects.filter(customer=customer).values("company")
    return Subquery(found[:1], output_field=IntegerField())


class Computed(CustomerKind):
    name = USER
    organization = Related(company_of(OuterRef("pk")), kind=ORGANIZATION)


@pytest.mark.parametrize(
    ("kinds", "clause", "why"),
    [
        (
            (EmployeeKind, StaffedKind),
            condition(ORGANIZATION, "staff", "in", "u1"),
            'add organization_staff = Many("profile__company__profile__customer__username") to the'
            " class of 'user' in kinds.py",
        ),
        (
            (EmployeeKind, StaffedKind),
            condition(ORGANIZATION, "key", "in", "1"),
            "add organization_key = Number(\"profile__company__id\") to the class of 'user' in kinds.py",
        ),
        (
            (CustomerKind, StaffedKind),
            LARGE,
            "say which 'organization' belongs to a row of 'user', with"
            ' organization = Related("…", kind="organization") in kinds.py',
        ),
        (
            (Directly, ProfileKind, StaffedKind),
            LARGE,
            "several ways lead from 'user' to 'organization'",
        ),
        (
            (Computed, StaffedKind),
            LARGE,
            "an expression leads from 'user' to 'organization', and no path",
        ),
    ],
)
def test_what_a_declaration_would_reach_is_refused_with_it(
    kinds: tuple[type[Kind], ...], clause: Json, why: str
) -> None:
    with declared(*kinds), pytest.raises(NotImportable) as refused:
        imported(segment_of(STAFF, clause))

    head = ON % (ORGANIZATION, USER)
    assert refused.value.problems == (f"s: Rule 1, condition 2: {head}{why}",)


def test_every_place_that_names_a_kind_out_of_reach_is_refused() -> None:
    members = [{"contextKind": ORGANIZATION, "values": ["1"]}]
    segment = segment_of(
        STAFF,
        weight=1,
        rolloutContextKind=ORGANIZATION,
        includedContexts=members,
        excludedContexts=members,
    )
    with declared(CustomerKind, StaffedKind), pytest.raises(NotImportable) as refused:
        imported(segment)

    heads = [problem.rpartition(": say which")[0] for problem in refused.value.problems]
    assert heads == [
        "s: ExcludedContexts: the members are of 'organization', and the segment of 'user'",
        "s: Rule 1: the percentage is of 'organization', and the segment on 'user'",
        "s: IncludedContexts: the members are of 'organization', and the segment of 'user'",
    ]


class HolderKind(PassKind):
    """A pass with the person that holds it, whose key is a UUID, and a reseller, of whom some are hidden."""

    name = "pass"
    person = Related("person", kind=USER)
    person_key = Text("person__id")
    reseller_key = Number("partner__partner_ptr__id")
    reseller_region = Text("partner__region")


def test_other_keys_and_rows_that_a_manager_hides(sdk: Sdk) -> None:
    with declared(PersonKind, ResellerKind, HolderKind):
        people = [Person.objects.create(username=name) for name in "ab"]
        firm = Reseller.every.create(code="x", name="x", region="north", is_gone=True)
        for person, partner in zip(people, (firm, None), strict=True):
            Pass.objects.create(person=person, colour="red", partner=partner)
        first, second = (str(person.pk) for person in people)
        passes = kind_or_user("pass")
        snapshots = passes.snapshots(passes.rows())
        resellers = [{"contextKind": "reseller", "values": [str(firm.pk)]}]
        on_pass = condition("pass", "colour", "in", "red")
        segment = segment_of(on_pass, condition(USER, "key", "in", first, first.upper()))

        ruleset = Ruleset(imported(segment).values())
        members = {
            row.key for row in snapshots if ruleset.matches("s", attributes_of(row, NOW), now=NOW)
        }
        assert members == {first}
        excluding = segment_of(on_pass, excludedContexts=resellers)
        ruleset = Ruleset(imported(excluding).values())
        for (whole,) in whole_contexts(snapshots, ruleset, now=NOW):
            answer = sdk.answer([excluding], "s", whole.context.to_dict())
            assert (answer, "s" in whole.all_segments) == (whole.own.context.key == second,) * 2
        with pytest.raises(
            NotImportable, match="the default manager of 'reseller' leaves rows out"
        ):
            imported(segment_of(on_pass, condition("reseller", "region", "in", "north")))
