"""Segments as LaunchDarkly sends them, and contexts, at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.types import JSONValue
from tests.featureflags.segments.strategies import FAMILIES, Json

USER, ORGANIZATION = "user", "organization"

TEXTS = st.text(alphabet="abé@.", max_size=4)
VALUES: Mapping[str, SearchStrategy[JSONValue]] = {
    "text": st.one_of(TEXTS, TEXTS),
    "number": st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 2.0, 1e300])),
    "date": st.sampled_from(
        ["2025-01-31T12:00:00Z", "2025-01-31T13:00:00+01:00", "2024-01-01T00:00:00.5Z"]
    ),
    "boolean": st.booleans(),
    "version": st.sampled_from(["1", "1.0.0-rc", "2.1", "0.9.0", "1.0.0+b"]),
    "pattern": st.sampled_from(["a", "^a", "b$", "[ab]é", ".", "a|b", "^$"]),
    "kind": st.sampled_from([USER, ORGANIZATION, "other"]),
    "any": st.one_of(
        TEXTS, st.integers(-2, 2), st.booleans(), st.just(["a", 2]), st.just({"x": "a"})
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
            st.lists(VALUES[values], min_size=1, max_size=3),
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
    anything = st.one_of(*VALUES.values(), st.lists(VALUES["any"], max_size=2), st.none())
    of_user: dict[str, SearchStrategy[JSONValue]] = {
        "custom_a": anything,
        "custom_/b": anything,
        "custom_o": st.one_of(anything, st.fixed_dictionaries({"x": anything})),
        "name": TEXTS,
        "email": TEXTS,
        "groups": st.lists(TEXTS, max_size=2),
        "is_staff": st.booleans(),
        "account_age_days": st.integers(0, 5),
        "created_at": VALUES["date"],
    }
    of_organization: dict[str, SearchStrategy[JSONValue]] = {
        "name": TEXTS,
        "seats": st.integers(-3, 3),
        "founded": VALUES["date"],
    }
    return st.fixed_dictionaries(
        {"kind": st.just(kind), "key": st.sampled_from([*keys, "nobody"])},
        optional=of_user if kind == USER else of_organization,
    )


def any_clause(name: str) -> SearchStrategy[Json]:
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
