"""Every LaunchDarkly segment but unbounded ones imports, and answers as LaunchDarkly's SDK does.

What has no form here is refused in words; nothing is imported as something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pytest
from django.db import transaction
from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.types import JSONValue
from featureflags.editing import NotImportable, import_remarks, import_segments
from featureflags.editing.documents import read_segments
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Company
from tests.customers.organizations import organizations_declared
from tests.factories import UserFactory
from tests.featureflags.segments.proof import SAMPLE
from tests.featureflags.segments.sdk import Sdk
from tests.featureflags.segments.strategies import FAMILIES, Json

USER, ORGANIZATION = "user", "organization"
NOW = 1_750_000_000_000_000

_texts = st.text(alphabet="abé@.", max_size=4)
_values: Mapping[str, SearchStrategy[JSONValue]] = {
    "text": st.one_of(_texts, _texts),
    "number": st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 2.0, 1e300])),
    "date": st.sampled_from(
        ["2025-01-31T12:00:00Z", "2025-01-31T13:00:00+01:00", "2024-01-01T00:00:00.5Z"]
    ),
    "boolean": st.booleans(),
    "version": st.sampled_from(["1", "1.0.0-rc", "2.1", "0.9.0", "1.0.0+b"]),
    "pattern": st.sampled_from(["a", "^a", "b$", "[ab]é", ".", "a|b", "^$"]),
    "kind": st.sampled_from([USER, ORGANIZATION, "other"]),
    "any": st.one_of(
        _texts, st.integers(-2, 2), st.booleans(), st.just(["a", 2]), st.just({"x": "a"})
    ),
}
_TEXT_OPS = dict.fromkeys(("in", "startsWith", "endsWith", "contains"), "text") | {
    "matches": "pattern"
}
_NUMBER_OPS = dict.fromkeys(
    ("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"), "number"
)
_DATE_OPS = dict.fromkeys(("before", "after"), "date")
_ANY_OPS = {
    **_TEXT_OPS,
    **_NUMBER_OPS,
    **_DATE_OPS,
    "in": "any",
    **dict.fromkeys(("semVerEqual", "semVerLessThan", "semVerGreaterThan"), "version"),
}
FITTING: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    USER: {
        "custom_a": _ANY_OPS,
        "custom_/b": _ANY_OPS,
        "/custom_o/x": _ANY_OPS,
        "/custom_~1b": _ANY_OPS,
        "name": _TEXT_OPS,
        "email": _TEXT_OPS,
        "groups": _TEXT_OPS,
        "is_staff": {"in": "boolean"},
        "account_age_days": _NUMBER_OPS,
        "created_at": _DATE_OPS,
        "kind": {**_TEXT_OPS, "in": "kind"},
        "anonymous": {"in": "boolean"},
    },
    ORGANIZATION: {
        "name": _TEXT_OPS,
        "seats": {**_NUMBER_OPS, "in": "number"},
        "/seats": {**_NUMBER_OPS, "in": "number"},
        "founded": _DATE_OPS,
        "kind": {**_TEXT_OPS, "in": "kind"},
    },
}
"""By kind and attribute: the operators that fit, and what they compare with."""
BUCKETS = {
    USER: ("", "key", "custom_a", "custom_/b", "/custom_o/x", "groups", "account_age_days", "kind"),
    ORGANIZATION: ("", "key", "name", "/seats"),
}


def optional_kind(kind: str, attribute: str) -> SearchStrategy[Json]:
    """Users need not name their kind; a path needs it."""
    named: Json = {"contextKind": kind}
    is_free = kind == USER and not attribute.startswith("/")
    return st.sampled_from([{}, {"contextKind": ""}, named]) if is_free else st.just(named)


def fitting_clauses(kind: str) -> SearchStrategy[Json]:
    def build(place: tuple[str, str, str]) -> SearchStrategy[Json]:
        attribute, op, values = place
        return st.builds(
            lambda found, negate, named: {
                "attribute": attribute,
                "op": op,
                "values": found,
                "negate": negate,
                **named,
            },
            st.lists(_values[values], min_size=1, max_size=3),
            st.booleans(),
            optional_kind(kind, attribute),
        )

    places = [
        (name, op, values) for name, ops in FITTING[kind].items() for op, values in ops.items()
    ]
    return st.sampled_from(sorted(places)).flatmap(build)


def nested_clauses() -> SearchStrategy[Json]:
    return st.builds(
        lambda keys, negate: {
            "attribute": "",
            "op": "segmentMatch",
            "values": keys,
            "negate": negate,
        },
        st.lists(st.sampled_from(["s1", "s2"]), min_size=1, max_size=2),
        st.booleans(),
    )


def percentages(kind: str) -> SearchStrategy[Json]:
    def named(attribute: str) -> SearchStrategy[Json]:
        weight = st.one_of(st.integers(0, 100_000), st.sampled_from([0, 1, 50_000, 100_000]))
        field = {"rolloutContextKind": kind}
        is_free = kind == USER and not attribute.startswith("/")
        return st.builds(
            lambda found, of: {"weight": found, "bucketBy": attribute, **of},
            weight,
            st.sampled_from([{}, {"rolloutContextKind": ""}, field]) if is_free else st.just(field),
        )

    none: SearchStrategy[Json] = st.sampled_from([{}, {"weight": None}])
    return st.one_of(none, st.sampled_from(BUCKETS[kind]).flatmap(named))


def segments(
    key: str, kind: str, clause: SearchStrategy[Json], keys: list[str]
) -> SearchStrategy[Json]:
    """What the SDK reads, with the fields that LaunchDarkly sends and nobody needs."""
    # A segment in which nothing names a kind is one of users.
    fewest = 0 if kind == USER else 1
    rule = st.builds(
        lambda clauses, percentage, number: {
            "id": f"r{number}",
            "clauses": clauses,
            **percentage,
        },
        st.lists(clause, min_size=fewest, max_size=2),
        percentages(kind),
        st.integers(0, 10**6),
    )
    nobody: SearchStrategy[JSONValue] = st.just([])
    names: SearchStrategy[JSONValue] = st.one_of(
        nobody, nobody, st.lists(st.sampled_from(keys), max_size=2)
    )
    targets: SearchStrategy[JSONValue] = st.one_of(
        nobody, names.map(lambda found: _targets(kind, found)), names.map(_targets_of_users(kind))
    )
    of_users = names if kind == USER else nobody
    required: dict[str, SearchStrategy[JSONValue]] = {
        "key": st.just(key),
        "version": st.just(3),
        "included": of_users,
        "excluded": of_users,
        "includedContexts": targets,
        "excludedContexts": targets,
        "rules": st.lists(rule, min_size=fewest, max_size=2, unique_by=_id_of),
        "salt": st.sampled_from(["", "x", "9f2c"]),
        "unbounded": st.just(False),
        "deleted": st.just(False),
    }
    optional: dict[str, SearchStrategy[JSONValue]] = {
        "generation": st.just(None),
        "unboundedContextKind": st.sampled_from(["", "user"]),
        "creationDate": st.just(1738324800000),
        "tags": st.just(["a"]),
    }
    return st.fixed_dictionaries(required, optional=optional)


def _id_of(rule: JSONValue) -> str:
    assert isinstance(rule, dict)
    return str(rule["id"])


def _targets(kind: str, keys: JSONValue) -> JSONValue:
    return [{"contextKind": kind, "values": keys}]


def _targets_of_users(kind: str) -> Callable[[JSONValue], JSONValue]:
    """LaunchDarkly's default kind need not be named."""
    return lambda keys: [{"values": keys}] if kind == USER else []


def contexts(kind: str, keys: list[str]) -> SearchStrategy[Json]:
    """A row's context; its attributes have the types that are declared, metadata any."""
    anything = st.one_of(*_values.values(), st.lists(_values["any"], max_size=2), st.none())
    of_user: dict[str, SearchStrategy[JSONValue]] = {
        "custom_a": anything,
        "custom_/b": anything,
        "custom_o": st.one_of(anything, st.fixed_dictionaries({"x": anything})),
        "name": _texts,
        "email": _texts,
        "groups": st.lists(_texts, max_size=2),
        "is_staff": st.booleans(),
        "account_age_days": st.integers(0, 5),
        "created_at": _values["date"],
    }
    of_organization: dict[str, SearchStrategy[JSONValue]] = {
        "name": _texts,
        "seats": st.integers(-3, 3),
        "founded": _values["date"],
    }
    return st.fixed_dictionaries(
        {"kind": st.just(kind), "key": st.sampled_from([*keys, "nobody"])},
        optional=of_user if kind == USER else of_organization,
    )


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


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
    family = st.sampled_from(sorted(FAMILIES)).flatmap(_any_clause)
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


def _any_clause(name: str) -> SearchStrategy[Json]:
    family = FAMILIES[name]
    return st.builds(
        lambda attribute, op, values, negate, kind: {
            "attribute": attribute,
            "op": op,
            "values": values,
            "negate": negate,
            **kind,
        },
        st.sampled_from(["custom_a", "/custom_o/x", "plan", "is_staff", "/custom_a", "", "name"]),
        st.sampled_from([*family.ops, "soundsLike"]),
        st.lists(family.clause_values, max_size=2),
        st.booleans(),
        st.sampled_from([{}, {"contextKind": "user"}, {"contextKind": "organization"}]),
    )


RULE: Json = {"clauses": [{"attribute": "custom_a", "op": "in", "values": [1]}]}
ORGANIZATIONS: Json = {
    "clauses": [{"attribute": "seats", "op": "in", "values": [1], "contextKind": "organization"}]
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unbounded": True}, "Unbounded: big segments are not supported"),
        (
            {"rules": [RULE, ORGANIZATIONS]},
            "Rule 2, condition 1: the condition is on 'organization', and the segment on 'user'",
        ),
        (
            {"rules": [{**ORGANIZATIONS, "weight": 1}]},
            "Rule 1, condition 1: the condition is on 'organization', and the segment on 'user'",
        ),
        (
            {"rules": [{**RULE, "weight": 1, "rolloutContextKind": "organization"}]},
            "Rule 1: the percentage is of 'organization', and the segment on 'user'",
        ),
        (
            {
                "rules": [RULE],
                "includedContexts": [{"contextKind": "organization", "values": ["1"]}],
            },
            "IncludedContexts: the members are of 'organization', and the segment of 'user'",
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
