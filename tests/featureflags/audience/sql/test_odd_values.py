"""Values at the edges of a database: the rules say the same in Python, SQLite and PostgreSQL."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import BigIntegerField, FloatField, Value
from pytest_django.fixtures import Settings

from featureflags import checks
from featureflags.audience.sizes import segment_sizes
from featureflags.audience.sql.clauses import MOST_VALUES
from featureflags.audience.sql.expressions import OneOf
from featureflags.audience.unsaved import unsaved_segment
from featureflags.contexts.attributes import attributes_of
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment
from featureflags.models.validation import find_problems
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.parsing import load_rules
from featureflags.segments.ruleset import Ruleset
from tests.factories import SegmentFactory, UserFactory, clause, rule
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

SMALLEST = -(2**63)


def definition(*values: Any, attribute: str = "custom_x") -> SegmentDefinition:
    found = Clause(attribute=attribute, op="in", values=values)
    return SegmentDefinition(key="odd", rules=(Rule(id="1", clauses=(found,)),))


def in_python(user: User, wanted: SegmentDefinition) -> bool:
    return bool(Ruleset([wanted]).match(attributes_of(user_kind().snapshot_of(user), 0), now=0))


@pytest.mark.parametrize(
    ("stored", "sought"),
    [
        (SMALLEST, SMALLEST),
        (SMALLEST - 1, SMALLEST),
        (SMALLEST - 1025, SMALLEST),
        (2**63, 2**63 - 1),
        (2**63 - 1, 2**63 - 1),
        (5e-324, 5e-324),
        (1e-310, 1.0000000000000023e-310),
        (2.2250738585072014e-308, 2.225073858507202e-308),
        (1.5e-300, 1.5e-300),
        (0.1, 0.1),
        (2.0**60, 2.0**60),
        (2.0**60, 2**60),
        (1152921504606847000, 2.0**60),
        (2**60, 1152921504606847000),
        (1e23, 1e23),
        (1e23, 10**23),
        (0, 5e-324),
    ],
)
def test_numbers(stored: float, sought: float) -> None:
    user = UserFactory.create(metadata={"x": stored, "list": [stored]})
    for name in ("custom_x", "custom_list"):
        wanted = definition(sought, attribute=name)
        found = User.objects.in_segment(wanted).filter(pk=user.pk).exists()
        assert found is in_python(User.objects.get(pk=user.pk), wanted)


@pytest.mark.parametrize(
    "number", [2.0**60, -1.2345e18, 1e22, 1e23, -1.5e300, 1.7976931348623157e308, 2.0**80]
)
def test_a_large_whole_float_is_the_same_before_and_after_it_is_stored(number: float) -> None:
    user = UserFactory.build(metadata={"x": number, "in": [{"y": number}]})
    before = user_kind().snapshot_of(user)
    user.save()
    after = user_kind().snapshots_by_key([str(user.pk)])[str(user.pk)]
    assert before.metadata == user_kind().snapshot_of(user).metadata == after.metadata
    assert type(before.metadata["x"]) is type(after.metadata["x"]) is int
    User.objects.filter(pk=user.pk).update(metadata={"x": number})
    assert (
        user_kind().snapshots_by_key([str(user.pk)])[str(user.pk)].metadata["x"]
        == before.metadata["x"]
    )


def test_more_values_than_a_query_takes() -> None:
    user = UserFactory.create(metadata={"x": "v7"})
    UserFactory.create(metadata={"x": "other"})
    wanted = definition(*(f"v{number}" for number in range(300_000)))
    assert list(User.objects.in_segment(wanted)) == [user]
    values = [f"v{number}" for number in range(MOST_VALUES + 1)]
    [problem] = find_problems("odd", [rule(clause("custom_x", "in", *values))], {})
    assert problem.code == "too_many_values"
    assert "50,001 values; 50,000 are allowed" in problem.message
    with pytest.raises(ValidationError, match="50,000 are allowed"):
        SegmentFactory.create(rules=[rule(clause("custom_x", "in", *values))])


def test_many_values_in_several_conditions() -> None:
    user = UserFactory.create(email="v7@example.com", metadata={"x": "v7", "n": 7, "d": 7.5})
    UserFactory.create(metadata={"x": "v", "n": -1, "d": 0.25})
    most = range(50_000)
    texts = tuple(f"v{number}" for number in most)
    clauses = [
        Clause(attribute="custom_x", op="in", values=texts),
        Clause(attribute="custom_n", op="in", values=tuple(most)),
        Clause(attribute="custom_d", op="in", values=tuple(number + 0.5 for number in most)),
        Clause(attribute="email", op="in", values=tuple(f"{text}@example.com" for text in texts)),
        Clause(attribute="custom_x", op="startsWith", values=texts[:25_000]),
        Clause(attribute="custom_x", op="in", values=tuple(f"w{n}" for n in most), negate=True),
        Clause(attribute="created_at", op="in", values=texts, negate=True),
        Clause(attribute="name", op="startsWith", values=texts, negate=True),
    ]
    together = SegmentDefinition(key="odd", rules=(Rule(id="1", clauses=tuple(clauses)),))
    assert list(User.objects.in_segment(together)) == [user]
    apart = tuple(Rule(id=str(n), clauses=(one,)) for n, one in enumerate(clauses[:5]))
    assert list(User.objects.in_segment(SegmentDefinition(key="odd", rules=apart))) == [user]


@pytest.mark.parametrize("number", [5e-324, 1e-310, 1.5e-61, 0.1, 7, 2**53 + 1, -(2**63) + 1])
def test_a_number_among_many(number: Any) -> None:
    user = UserFactory.create(metadata={"x": number})
    UserFactory.create(metadata={"x": 3})
    wanted = definition(*range(10, 2_000), number)
    assert list(User.objects.in_segment(wanted)) == [user]
    values = (*range(10, 2_000), number)
    field = FloatField() if isinstance(number, float) else BigIntegerField()
    expression = OneOf(Value(number, output_field=field), values)
    assert User.objects.filter(pk=user.pk).filter(expression).exists()


TWICE_OR_ESCAPED = [
    '{"x": 1, "x": 2}',
    '{"x": 2, "x": 1}',
    '{"\\u0078": 2}',
    '{"\\u0078": 2, "x": 1}',
    '{"x": 1, "\\u0078": 2}',
    '{"x": {"y": 2}, "x": {"z": 2}}',
    '{"x": {"z": 2}, "x": {"y": 1, "y": 2}}',
    '{"x": {"y": 1, "\\u0079": 2}}',
    '{"x": 2, "x": null}',
    '{"x": null, "x": [1, 2]}',
    '{"x": 2, "other": "\\u00e4 \\" x"}',
    '{"x": 2, "other": "x", "x y": {"x": 1}}',
    '{"a\\"b": 1, "a\\"b": 2, "\\u0061\\"b": 3}',
]


@pytest.mark.parametrize("text", TWICE_OR_ESCAPED)
def test_keys_that_occur_twice_or_with_escapes(text: str) -> None:
    """Written past the ORM. SQLite keeps the text as it is; PostgreSQL's jsonb reads it once."""
    user = UserFactory.create()
    with connection.cursor() as cursor:
        cast = "%s::jsonb" if connection.vendor == "postgresql" else "%s"
        cursor.execute(f"UPDATE users_user SET metadata = {cast}", [text])
    (loaded,) = User.objects.filter(pk=user.pk)
    assert loaded.metadata == user_kind().snapshots_by_key([str(user.pk)])[str(user.pk)].metadata
    paths = [("custom_x", None), ("/custom_x/y", "user"), ("/custom_x/z", "user")]
    for attribute, kind in [*paths, ('custom_a"b', None)]:
        for op, values in [("in", (2,)), ("in", (1, 3)), ("exists", (True,)), ("lessThan", (2,))]:
            for negate in (False, True):
                found = Clause(
                    attribute=attribute, op=op, values=values, negate=negate, context_kind=kind
                )
                wanted = SegmentDefinition(key="odd", rules=(Rule(id="1", clauses=(found,)),))
                counted = segment_sizes(ruleset=Ruleset([wanted])).sizes[0].at_least
                sizes = (User.objects.in_segment(wanted).count(), counted)
                assert sizes == (in_python(loaded, wanted),) * 2, (found, loaded.metadata)


@pytest.mark.parametrize("number", [2.0**60, -1.2345e18, 1e22, 1e23, 1.7976931348623157e308])
def test_a_large_whole_float_in_a_rule(number: float) -> None:
    """The same before the segment is saved, after it, and in every form that JSON gives it."""
    user = UserFactory.create(metadata={"x": number, "in": [number]})
    raw = [rule(clause("custom_x", "in", number)), rule(clause("custom_in", "in", number))]
    for one in raw:
        unsaved = unsaved_segment("odd", [one])
        assert in_python(user, unsaved)
        assert list(User.objects.in_segment(unsaved)) == [user]
    saved = SegmentFactory.create(key="odd", rules=raw)
    stored = Segment.objects.get(key="odd")
    assert saved.rules == stored.rules
    assert type(saved.rules[0]["clauses"][0]["values"][0]) is int
    assert unsaved_segment("odd", raw).rules == load_rules(stored.rules)[0]
    assert list(User.objects.in_segment("odd")) == [user]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE featureflags_segment SET rules = %s WHERE key = 'odd'", [json.dumps(raw)]
        )
    assert load_rules(Segment.objects.get(key="odd").rules)[0] == load_rules(stored.rules)[0]


def test_nul_in_a_name_is_refused_at_every_door() -> None:
    user = UserFactory.create(name="Ada")
    with pytest.raises(ValueError, match="NUL"):
        User.objects.filter(pk=user.pk).update(name="A\0da")
    user.name = "A\0da"
    with pytest.raises(ValueError, match="NUL"):
        user.save()
    with pytest.raises(ValueError, match="NUL"):
        User.objects.bulk_create([UserFactory.build(name="A\0da")])
    assert User.objects.get(pk=user.pk).name == "Ada"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "+02:00"])
def test_e024_a_database_in_another_zone(settings: Settings, zone: str) -> None:
    assert checks.check_time_zones() == []
    with patch.dict(settings.DATABASES["default"], {"TIME_ZONE": zone}):
        (message,) = checks.check_time_zones()
    assert (message.id, zone in str(message.msg)) == ("featureflags.E024", True)
