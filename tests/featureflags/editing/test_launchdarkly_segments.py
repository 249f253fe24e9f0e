"""Every LaunchDarkly segment but unbounded ones imports, and answers as LaunchDarkly's SDK does.

What has no form here is refused in words; nothing is imported as something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from django.db import transaction
from hypothesis import event, given
from hypothesis import strategies as st

from featureflags.editing import NotImportable, import_remarks, import_segments
from featureflags.editing.documents import read_segments
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Company
from tests.customers.organizations import organizations_declared
from tests.factories import UserFactory
from tests.featureflags.editing.launchdarkly_segments import (
    ORGANIZATION,
    USER,
    any_clause,
    contexts,
    fitting_clauses,
    nested_clauses,
    segments,
)
from tests.featureflags.segments.proof import SAMPLE
from tests.featureflags.segments.sdk import Sdk
from tests.featureflags.segments.strategies import FAMILIES, Json

NOW = 1_750_000_000_000_000


@pytest.fixture
def rows(db: None) -> Iterator[Mapping[str, list[str]]]:
    del db
    with organizations_declared():
        users = [str(UserFactory.create(email=f"u{n}@example.com").pk) for n in range(3)]
        companies = [str(Company.objects.create(name=f"c{n}").pk) for n in range(3)]
        yield {USER: users, ORGANIZATION: companies}


def imported(found: list[Json]) -> Ruleset:
    """The rules in force after an import, which is undone. Raises NotImportable."""
    with transaction.atomic():
        import_segments({"segments": {str(one["key"]): one for one in found}})
        ruleset = Ruleset(document.in_force for document in read_segments().values())
        transaction.set_rollback(True)
    return ruleset


def imported_or_why(found: list[Json]) -> Ruleset | tuple[str, ...]:
    try:
        return imported(found)
    except NotImportable as refused:
        return refused.problems


def attributes_of(context: Json) -> Json:
    return {name: value for name, value in context.items() if name != "kind"}


def alone(context: Json, kind: str, other: Json) -> list[Json]:
    """The context of a row by itself, and beside one of another kind."""
    parts = {str(one["kind"]): attributes_of(one) for one in (context, other)}
    assert kind in parts
    return [context, {"kind": "multi", **parts}]


# What is compared is computed in memory, by the SDK and by us.
@pytest.mark.embedded_stack
@pytest.mark.parametrize("kind", [USER, ORGANIZATION])
def test_every_segment_of_a_kind_imports_and_answers_as_the_sdk_does(
    sdk: Sdk, rows: Mapping[str, list[str]], kind: str
) -> None:
    counts: Counter[str] = Counter()
    plain, keys = fitting_clauses(kind), rows[kind]
    other = ORGANIZATION if kind == USER else USER

    @SAMPLE
    @given(
        segments("s1", kind, plain, keys),
        segments("s2", kind, plain, keys),
        segments("s3", kind, st.one_of(plain, nested_clauses()), keys),
        contexts(kind, keys),
        contexts(other, rows[other]),
    )
    def prove(one: Json, two: Json, three: Json, context: Json, beside: Json) -> None:
        found = [one, two, three]
        ruleset = imported(found)
        for segment in found:
            key = str(segment["key"])
            definition = ruleset.definitions[key]
            assert definition.kind == kind
            ours = key in ruleset.match(attributes_of(context), now=NOW, kind=kind)
            tests_kind = '"kind"' in str(found).replace("'", '"')
            for asked in alone(context, kind, beside)[: 1 if tests_kind else 2]:
                answer = sdk.answer(found, key, asked)
                assert ours is answer, (key, asked)
            counts[str(ours)] += 1
            event(str(ours))

    prove()
    assert min(counts["True"], counts["False"]) > sum(counts.values()) / 20, counts


def test_arbitrary_segments_are_imported_as_they_are_or_refused_in_words(
    sdk: Sdk, rows: Mapping[str, list[str]]
) -> None:
    """Any attribute, operator, value, kind and percentage: what is imported answers as the SDK does."""
    counts: Counter[str] = Counter()
    family = st.sampled_from(sorted(FAMILIES)).flatmap(any_clause)
    clause = st.one_of(fitting_clauses(USER), fitting_clauses(USER), family)

    @SAMPLE
    @given(segments("s1", USER, clause, [*rows[USER], "nobody"]), contexts(USER, rows[USER]))
    def prove(segment: Json, context: Json) -> None:
        found = imported_or_why([segment])
        if isinstance(found, tuple):
            assert {problem[:4] for problem in found} == {"s1: "}
            counts["refused"] += 1
            return
        ours = "s1" in found.match(attributes_of(context), now=NOW)
        answer = sdk.answer([segment], "s1", context)
        if answer is not None:
            assert ours is answer
        counts["imported"] += 1

    prove()
    assert min(counts["imported"], counts["refused"]) > sum(counts.values()) / 10, counts


RULE: Json = {"clauses": [{"attribute": "custom_a", "op": "in", "values": [1]}]}
ORGANIZATIONS: Json = {
    "clauses": [{"attribute": "seats", "op": "in", "values": [1], "contextKind": "organization"}]
}
UNRELATED = (
    ": say which 'organization' belongs to a row of 'user', with"
    ' organization = Related("…", kind="organization") in kinds.py'
)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unbounded": True}, "Unbounded: big segments are not supported"),
        (
            {"rules": [RULE, ORGANIZATIONS]},
            "Rule 2, condition 1: the condition is on 'organization', and the segment on 'user'"
            + UNRELATED,
        ),
        (
            {"rules": [{**ORGANIZATIONS, "weight": 1}]},
            "Rule 1, condition 1: the condition is on 'organization', and the segment on 'user'"
            + UNRELATED,
        ),
        (
            {"rules": [{**RULE, "weight": 1, "rolloutContextKind": "organization"}]},
            "Rule 1: the percentage is of 'organization', and the segment on 'user'" + UNRELATED,
        ),
        (
            {
                "rules": [RULE],
                "includedContexts": [{"contextKind": "organization", "values": ["1"]}],
            },
            "IncludedContexts: the members are of 'organization', and the segment of 'user'"
            + UNRELATED,
        ),
    ],
)
def test_what_has_no_form_here_is_refused_in_words(
    rows: Mapping[str, list[str]], changes: Json, why: str
) -> None:
    del rows
    with pytest.raises(NotImportable) as refused:
        imported([{"key": "s", "version": 1, **changes}])

    assert refused.value.problems == (f"s: {why}",)


def test_a_rule_without_conditions_is_saved_as_one_for_everybody(
    rows: Mapping[str, list[str]],
) -> None:
    del rows
    segment: Json = {"key": "s", "version": 1, "rules": [{"clauses": [], "weight": 50_000}]}

    found = imported([segment]).definitions["s"]

    assert [clause.attribute for clause in found.rules[0].clauses] == ["kind"]
    assert found.rules[0].weight == 50_000
    assert import_remarks({"segments": {"s": segment}}) == [
        "s: Rule 1: it has no condition, so that it takes everybody: saved as"
        ' “kind is any of "user"”'
    ]


def test_a_segment_that_only_uses_others_is_of_their_kind(rows: Mapping[str, list[str]]) -> None:
    del rows
    nested: Json = {"attribute": "", "op": "segmentMatch", "values": ["s1"]}
    found: list[Json] = [
        {"key": "s1", "version": 1, "rules": [ORGANIZATIONS]},
        {"key": "s2", "version": 1, "rules": [{"clauses": [nested]}]},
    ]

    definitions = imported(found).definitions

    assert (definitions["s1"].kind, definitions["s2"].kind) == (ORGANIZATION, ORGANIZATION)


def test_a_document_that_names_no_salt_keeps_the_one_that_is_stored(
    rows: Mapping[str, list[str]],
) -> None:
    del rows
    segment: Json = {"key": "s", "version": 1, "rules": [{**RULE, "weight": 1}], "salt": "x"}
    import_segments({"segments": {"s": segment}})

    del segment["salt"]
    assert import_segments({"segments": {"s": segment}}) == []
    segment["salt"] = ""
    [examined] = import_segments({"segments": {"s": segment}})

    assert examined.change.moves_by_rules
    assert read_segments()["s"].definition.salt == ""
