"""Orders, their customers and the companies of these, as three kinds, and segments that name several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.editing.documents import read_document
from featureflags.kinds import Instant, Kind, Many, Number, Related, Text
from featureflags.kinds.declaration import Declared
from featureflags.models.validation import check_rules
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.export import dump_rules
from tests.customers.declarations import EmployeeKind, OrganizationKind
from tests.customers.models import Order

NOW: Final = now_in_microseconds()
Json = dict[str, JSONValue]
ORDER, USER, ORGANIZATION = "order", "user", "organization"


class StaffedKind(OrganizationKind):
    name = ORGANIZATION
    staff = Many("profile__customer__username")


class PersonalKind(EmployeeKind):
    """Customers who can say everything of their company, most of it under other names."""

    name = USER
    company_id = Number("profile__company__id")
    colleagues = Many("profile__company__profile__customer__username")


def behind(kind: type[Kind], way: str, prefix: str) -> dict[str, Declared]:
    """What a kind reads by paths, for the rows to which its rows belong."""
    return {
        f"{prefix}{name}": replace(declared, source=f"{way}__{declared.source}")
        for name, declared in kind.declared.items()
        if isinstance(declared.source, str)
        and not isinstance(declared, Related)
        and not getattr(declared, "watch", ())
    }


class _OrderKind(Kind):
    name = ORDER
    model = Order
    state = Text("state")
    placed_at = Instant("placed_at")
    customer = Related("customer", kind=USER)
    customer_id = Number("customer__id")


OrderKind: Final[type[Kind]] = type(
    "OrderKind", (_OrderKind,), {"name": ORDER, **behind(PersonalKind, "customer", "customer_")}
)

KINDS: Final = (PersonalKind, StaffedKind, OrderKind)

_TEXT_OPS: Final = ("in", "startsWith", "endsWith", "contains", "matches")
_NUMBER_OPS: Final = ("in", "lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual")
_DATE_OPS: Final = ("before", "after")

ASKED: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    ORDER: {"state": _TEXT_OPS, "placed_at": _DATE_OPS},
    USER: {
        "key": ("in",),
        "email_domain": _TEXT_OPS,
        "country": _TEXT_OPS,
        "is_staff": ("in",),
        "tags": _TEXT_OPS,
        "account_age_days": _NUMBER_OPS,
        "custom_level": ("in", "lessThan"),
    },
    ORGANIZATION: {
        "key": ("in",),
        "name": _TEXT_OPS,
        "/seats": _NUMBER_OPS,
        "founded": _DATE_OPS,
        "age_days": _NUMBER_OPS,
        "staff": _TEXT_OPS,
    },
}
"""By kind and attribute: operators that fit."""

Seen = Mapping[str, Mapping[str, Sequence[JSONValue]]]
"""By kind and attribute: values that rows have."""


def clauses(seen: Seen, of: Sequence[str]) -> SearchStrategy[Json]:
    def build(place: tuple[str, str, str]) -> SearchStrategy[Json]:
        kind, name, op = place
        values: Any = st.sampled_from(seen[kind][name.removeprefix("/")])
        return _clause(kind, name, op, st.lists(values, min_size=1, max_size=3))

    places = [(kind, name, op) for kind in of for name in ASKED[kind] for op in ASKED[kind][name]]
    named = st.tuples(st.sampled_from(of), st.sampled_from(of)).flatmap(
        lambda pair: _clause(pair[0], "kind", "in", st.just([pair[1], "device"]))
    )
    plain = st.sampled_from(places).flatmap(build)
    # A list is empty where the company is missing.
    listed = build((ORGANIZATION, "staff", "in"))
    return st.one_of(plain, plain, plain, listed, named)


def _clause(kind: str, name: str, op: str, values: Any) -> SearchStrategy[Json]:
    of_kind: Json = {"contextKind": kind}
    return st.builds(
        lambda found, negate, of: {
            "attribute": name,
            "op": op,
            "values": found,
            "negate": negate,
            **of,
        },
        values,
        st.booleans(),
        st.sampled_from([of_kind, {}]) if kind == USER else st.just(of_kind),
    )


def percentages(of: Sequence[str]) -> SearchStrategy[Json]:
    places = [(kind, name) for kind in of for name in ("", *ASKED[kind])]
    taken = st.builds(
        lambda place, weight: {
            "rolloutContextKind": place[0],
            "bucketBy": place[1],
            "weight": weight,
        },
        st.sampled_from(places),
        st.sampled_from([0, 0, 1, 30_000, 100_000]),
    )
    none: SearchStrategy[Json] = st.just({})
    return st.one_of(none, taken)


def segments(seen: Seen, of: Sequence[str], own: str) -> SearchStrategy[Json]:
    """Segments on kinds of which `own` is the one to whose rows the others belong."""
    rule = st.builds(
        lambda found, percentage: {"clauses": found, **percentage},
        st.lists(clauses(seen, of), min_size=1, max_size=2),
        percentages(of),
    )
    everybody = st.just({"clauses": [{"attribute": "kind", "op": "in", "values": [own]}]})

    def targets() -> SearchStrategy[JSONValue]:
        # Members of the own kind must be rows.
        keys = {kind: [*seen[kind]["key"], *([] if kind == own else ["gone"])] for kind in of}
        target: SearchStrategy[Json] = st.sampled_from(of).flatmap(
            lambda kind: st.builds(
                lambda found: {"contextKind": kind, "values": found},
                st.lists(st.sampled_from(keys[kind]), min_size=1, max_size=3),
            )
        )
        return st.lists(target, min_size=1, max_size=2).map(list)

    users: SearchStrategy[JSONValue] = st.lists(st.sampled_from(seen[USER]["key"]), max_size=6)
    none: SearchStrategy[JSONValue] = st.just([])
    fields: dict[str, SearchStrategy[JSONValue]] = {
        "key": st.just("s"),
        "version": st.just(1),
        "salt": st.sampled_from(["", "x"]),
        "included": st.one_of(none, users),
        "excluded": st.one_of(none, users, users),
        "includedContexts": st.one_of(none, targets()),
        "excludedContexts": st.one_of(none, targets()),
        "rules": st.lists(st.one_of(rule, rule, rule, everybody), min_size=1, max_size=2),
    }
    return st.fixed_dictionaries(fields)


def condition(kind: str, attribute: str, op: str, *values: JSONValue, **options: JSONValue) -> Json:
    return {
        "contextKind": kind,
        "attribute": attribute,
        "op": op,
        "values": list(values),
        **options,
    }


LARGE = condition(ORGANIZATION, "seats", "greaterThan", 50)
STAFF = condition(USER, "is_staff", "in", True)


def segment_of(*clauses: Json, **fields: Any) -> Json:
    rollout = ("weight", "rolloutContextKind", "bucketBy")
    rule = {
        "clauses": list(clauses),
        **{name: fields.pop(name) for name in rollout if name in fields},
    }
    return {"key": "s", "version": 1, "rules": [rule], **fields}


def imported(*found: Json) -> Mapping[str, SegmentDefinition]:
    """What an import would store, by key: members of these kinds have no table here. Raises NotImportable."""
    documents = read_document({"segments": {str(one["key"]): one for one in found}})
    for document in documents.values():
        rules = dump_rules(document.definition.rules)
        assert check_rules(rules, document.definition.kind).problems == ()
    return {key: document.in_force for key, document in documents.items()}
