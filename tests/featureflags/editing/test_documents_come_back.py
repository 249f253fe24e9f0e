"""What is exported into an empty installation and exported there is the same document, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featureflags.editing import export_segments, import_segments
from featureflags.models import Segment
from featureflags.segments.operator_labels import IGNORES_CASE, OPERATORS
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION, organizations_declared
from tests.factories import UserFactory
from tests.featureflags.segments.test_operator_places import EXAMPLES

pytestmark = pytest.mark.django_db

Json = dict[str, Any]
DAYS: Final = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
BEFORE: Final = st.sampled_from(["1999-12-31T23:59:59Z", "2000-01-01T00:00:00.000001Z"])
AFTER: Final = st.sampled_from(["2999-12-31T23:59:59Z", "3000-01-01T00:00:00.500000Z"])


@st.composite
def clauses(draw: st.DrawFn, op: str, attribute: str) -> Json:
    values = {
        "between": [*DAYS],
        "exists": [True],
        "segmentMatch": ["inner"],
        "in": draw(st.lists(TEXTS | st.booleans() | st.floats(-9, 9), min_size=1, max_size=3)),
    }
    found: Json = {
        "attribute": "" if op == "segmentMatch" else attribute,
        "op": op,
        "values": values[op] if op in values else [EXAMPLES[op][0]],
        "negate": draw(st.booleans()),
    }
    if op in IGNORES_CASE and draw(st.booleans()):
        found["ignoreCase"] = True
    if found["negate"] and op not in {"exists", "segmentMatch"} and draw(st.booleans()):
        found["orMissing"] = True
    return found


@st.composite
def rules(draw: st.DrawFn, op: str, attribute: str) -> Json:
    found: Json = {"id": f"rule-{op}", "clauses": [draw(clauses(op, attribute))]}
    if draw(st.booleans()):
        found["description"] = draw(TEXTS.map(str.strip).filter(bool))
    if draw(st.booleans()):
        found |= {"weight": draw(st.integers(0, 100_000))}
        found |= draw(st.sampled_from([{}, {"bucketBy": attribute}]))
    return found


@st.composite
def segments(draw: st.DrawFn, /, key: str, rows: list[str], **fixed: Any) -> Json:
    """A segment with members that stay, begin, end or have a reason; some archived."""
    included, excluded, ending, beginning = rows
    is_archived = draw(st.booleans())
    return {
        "key": key,
        "name": draw(TEXTS.map(str.strip).filter(bool)),
        "description": draw(TEXTS),
        "isActive": draw(st.booleans()) and not is_archived,
        "isArchived": is_archived,
        "tags": sorted(draw(st.sets(st.sampled_from(["beta", "paying", "a-b"])))),
        "salt": draw(TEXTS),
        "included": [beginning, included] if included > beginning else [included, beginning],
        "excluded": [excluded],
        "includedUntil": {ending: draw(AFTER)},
        "memberReasons": {included: draw(TEXTS.filter(bool))},
        "membersFrom": {beginning: draw(BEFORE)},
        **fixed,
    }


@contextmanager
def an_empty_installation() -> Iterator[None]:
    with transaction.atomic():
        Segment.objects.all().delete()
        yield
        transaction.set_rollback(True)


def through(document: Json) -> Json:
    with an_empty_installation():
        import_segments(document)
        found: Json = json.loads(json.dumps(export_segments(native=True)))
    return found


def test_an_export_comes_back_as_it_was() -> None:
    with organizations_declared():
        people = sorted(str(user.pk) for user in UserFactory.create_batch(4))
        companies = [str(Company.objects.create(name=f"C{n}").pk) for n in range(4)]

        def every(attribute: str) -> SearchStrategy[list[Json]]:
            return st.tuples(*(rules(op, attribute) for op in OPERATORS)).map(list)

        # Each example writes tables: a smaller one is not looked for.
        @settings(max_examples=2, phases=[Phase.generate])
        @given(
            segments("every", people, owner=people[0], rules=[]),
            segments("every-company", companies, kind=ORGANIZATION, rules=[]),
            every("custom_x"),
        )
        def comes_back(of_users: Json, of_companies: Json, all_rules: list[Json]) -> None:
            inner = {"key": "inner", "name": "Inner", "isActive": True, "rules": []}
            written = [{**of_users, "rules": all_rules}, of_companies, inner]
            document: Json = {"segments": {each["key"]: each for each in written}}
            exported = through(document)
            for each in written:
                stored = exported["segments"][each["key"]]
                assert {name: stored.get(name, type(each[name])()) for name in each} == each
            assert through(exported) == exported

        comes_back()
