"""A kind of another project: rows, loaded rows and SQL say the same; keys are integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import RequestFactory

from featureflags.audience.querysets import Resolver
from featureflags.contexts.attributes import attributes_of
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core.times import now_in_microseconds
from featureflags.evaluation import is_enabled
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.loaded_rows import NotLoaded
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Customer
from tests.factories import UserFactory, clause
from tests.featureflags.kinds.worlds import world

VALUES: dict[str, list[tuple[str, list[Any]]]] = {
    "key": [("in", ["1", "3", "nobody", "03"]), ("startsWith", ["1"])],
    "username": [("in", ["u1", "U2"]), ("endsWith", ["1"])],
    "email": [("contains", ["acme"]), ("exists", [True])],
    "email_domain": [("in", ["acme.example", "other.example"])],
    "is_staff": [("in", [True])],
    "created_at": [("after", ["2026-10-01T00:00:00Z"])],
    "account_age_days": [("lessThan", [30]), ("in", [3, 4, 5])],
    "plan": [("in", ["pro"]), ("matches", ["^fr"]), ("exists", [True])],
    "country": [("in", ["DE", ""]), ("exists", [True])],
    "company": [("in", ["acme"]), ("contains", ["c"]), ("exists", [True])],
    "seats": [("greaterThan", [50]), ("in", [1, 500])],
    "revenue": [("lessThan", [1]), ("in", [0.5, -1.5]), ("greaterThan", [1e299])],
    "discount": [("in", [5, 0.1]), ("lessThanOrEqual", [0.1])],
    "founded": [("before", ["2000-01-01T00:00:00Z"]), ("in", ["1999-12-31T00:00:00-00:00"])],
    "company_age_days": [("greaterThan", [365]), ("exists", [True])],
    "tags": [("in", ["beta"]), ("startsWith", ["B"]), ("contains", [""]), ("exists", [True])],
    "teams": [("in", ["red", "blue"])],
    "order_states": [("in", ["paid"])],
    "orders": [("greaterThanOrEqual", [1]), ("in", [0])],
    "last_order_at": [("after", ["2026-11-01T00:00:00Z"]), ("exists", [True])],
    "days_since_order": [("lessThan", [30])],
    "custom_level": [("in", [3]), ("exists", [True])],
}


def test_every_attribute_is_tried(kind: CompiledKind) -> None:
    assert kind.problems == []
    assert {attribute.name for attribute in kind.attributes} == VALUES.keys() - {"custom_level"}


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_memory_and_sql_agree(kind: CompiledKind, seed: int) -> None:
    world(seed)
    now = now_in_microseconds()
    everybody = {each.key: attributes_of(each, now) for each in kind.snapshots(kind.rows())}
    differ = []
    for name, tried in VALUES.items():
        for op, values in tried:
            for negate in (False, True):
                rule = {"clauses": [clause(name, op, *values, negate=negate)]}
                definition = parse_definition({"key": "s", "rules": [rule]})
                ruleset = Ruleset([definition])
                memory = {key for key, each in everybody.items() if ruleset.match(each, now=now)}
                sql = set(kind.keys(Resolver().members(kind.rows(), definition, now)))
                if memory != sql:
                    differ.append((name, op, values, negate, memory ^ sql))
    assert differ == []


@pytest.mark.django_db
def test_a_loaded_row_is_what_its_row_is(kind: CompiledKind) -> None:
    world(7)
    rows = kind.rows().order_by("pk")
    assert [kind.snapshot_of(row) for row in kind.loaded(rows)] == kind.snapshots(rows)


@pytest.mark.django_db
def test_a_row_without_its_related_rows_says_so(kind: CompiledKind) -> None:
    [first, *_] = world(7)
    with pytest.raises(NotLoaded):
        kind.snapshot_of(Customer.objects.get(pk=first.pk))


class TestChecks:
    """By row, key, number and request."""

    pytestmark = pytest.mark.django_db(transaction=True)

    def test_a_row_is_resolved_by_key_where_related_rows_are_missing(
        self, kind: CompiledKind
    ) -> None:
        [first, *_] = world(7)
        row = Customer.objects.get(pk=first.pk)
        asked = resolve(row)
        assert asked.source is ContextSource.DATABASE
        assert asked.context.key == str(first.pk)
        assert resolve(row).source is ContextSource.CACHE
        assert resolve(kind.find(first.username)).source is ContextSource.LOADED

    def test_keys_as_text_and_numbers(self, kind: CompiledKind) -> None:
        [first, *_] = world(7)
        [by_number, by_text] = [resolve(first.pk), resolve(str(first.pk))]
        assert by_number.context == by_text.context
        assert list(contexts_for([str(first.pk)])) == [str(first.pk)]

    @pytest.mark.parametrize("key", ["nobody", "0", "01", "9" * 40, "-1"])
    def test_a_key_that_no_row_has(self, kind: CompiledKind, key: str) -> None:
        found = resolve(key)
        assert (found.source, found.degraded) == (ContextSource.BARE, (Degradation.NO_SUCH_USER,))
        assert found.context.key == key

    def test_mistakes(self, kind: CompiledKind) -> None:
        with pytest.raises(ValueError, match="must not contain an @"):
            resolve("ada@acme.example")
        with pytest.raises(TypeError, match="The second argument is a user"):
            resolve(True)
        with pytest.raises(TypeError, match="The second argument is a user"):
            is_enabled("x", UserFactory.create())

    def test_an_account_of_another_model_is_a_visitor(self, kind: CompiledKind) -> None:
        request = RequestFactory().get("/")
        request.user = UserFactory.create()
        assert resolve(None, request=request).source is ContextSource.VISITOR


@pytest.mark.django_db
def test_one_query_reads_all(
    kind: CompiledKind, django_assert_num_queries: Callable[[int], Any]
) -> None:
    world(7)
    with django_assert_num_queries(1):
        assert len(kind.snapshots(kind.rows())) == 12
    with django_assert_num_queries(1):
        assert [kind.snapshot_of(row) for row in kind.loaded(kind.rows())]
