"""Rules of thousands of clauses: what Django is asked to do for them, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, models
from django.db.models.sql.compiler import SQLCompiler

from featureflags.audience.impact import impact_of
from featureflags.audience.sql.bounds import any_of
from featureflags.audience.sql.compiler import compile_segment
from featureflags.audience.sql.expressions import Present, TextPart
from featureflags.contexts.attributes import attributes_of
from featureflags.kinds.registry import user_kind
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.factories import clause, rule
from tests.featureflags.audience.sql.people import NOW, create_people
from users.models import User

KEY = "many"
RULES, CLAUSES = 200, 20


def many_rules(number_of_rules: int = RULES) -> list[dict[str, Any]]:
    """200 rules of 20 clauses on all sorts of attributes; a few users fulfil some of them."""
    makers = (
        lambda n: clause("custom_a", "in", f"none{n}", "a"),
        lambda n: clause("email", "contains", f"none{n}", "@"),
        lambda n: clause("groups", "in", f"none{n}", "a"),
        lambda n: clause("created_at", "after", f"20{n % 20:02}-01-01T00:00:00Z"),
        lambda n: clause("custom_a", "greaterThanOrEqual", n, negate=True),
        lambda n: clause("name", "startsWith", f"none{n}", negate=True),
        lambda n: clause("account_age_days", "greaterThan", n % 3),
        lambda n: clause("email_verified", "in", n % 2 == 0),
    )
    # A step that shares no factor with their number brings all of them into every place.
    return [
        rule(
            *(
                makers[(number * 3 + place) % len(makers)](number * CLAUSES + place)
                for place in range(1 + number % 4 if number % 10 == 0 else CLAUSES)
            )
        )
        for number in range(number_of_rules)
    ]


@pytest.mark.django_db
def test_they_are_one_expression_to_django(monkeypatch: pytest.MonkeyPatch) -> None:
    """It copies, resolves and compiles the columns that they test, and not each clause."""
    compiled, original = [], SQLCompiler.compile

    def counted(compiler: SQLCompiler, node: Any) -> Any:
        compiled.append(node)
        return original(compiler, node)

    monkeypatch.setattr(SQLCompiler, "compile", counted)
    rules = [
        rule(*(clause("email", "contains", f"{n}-{place}") for place in range(CLAUSES)))
        for n in range(RULES)
    ]
    ruleset = Ruleset([parse_definition({"key": KEY, "rules": rules})])
    users = User.objects.filter(compile_segment(ruleset, KEY, now=NOW).lower)
    sql, params = users.query.sql_with_params()
    assert sql.count("%s") == len(params) == RULES * CLAUSES
    assert len(compiled) < 50


@pytest.mark.django_db
def test_sql_and_python_agree_about_them() -> None:
    # SQLite's planner takes seconds for thousands of them in one condition.
    postgresql = connection.vendor == "postgresql"
    create_people()
    ruleset = Ruleset(
        [parse_definition({"key": KEY, "rules": many_rules(RULES if postgresql else RULES // 4)})]
    )
    compiled = compile_segment(ruleset, KEY, now=NOW)
    found = set(User.objects.filter(compiled.lower).values_list("pk", flat=True))
    people = user_kind().snapshots(User.objects.all())
    expected = {one.key for one in people if ruleset.matches(KEY, attributes_of(one, NOW), now=NOW)}
    assert compiled.exact
    assert {str(pk) for pk in found} == expected
    assert 0 < len(expected) < len(people)


@pytest.mark.django_db
def test_the_preview_of_many_clauses_counts_and_shows_examples() -> None:
    create_people()
    after = parse_definition({"key": KEY, "rules": many_rules()})
    impact = impact_of(after, before=Ruleset([]), now=NOW, seconds=60)
    ruleset = Ruleset([after])
    people = user_kind().snapshots(User.objects.all())
    entering = [one.key for one in people if ruleset.matches(KEY, attributes_of(one, NOW), now=NOW)]
    assert impact.is_exact
    assert impact.users.at_least == len(people)
    assert impact.matching.at_least == impact.entering.at_least == len(entering) > 0
    assert {user.key for user in impact.entering.samples} <= set(entering)
    assert len(impact.entering.samples) == min(5, len(entering))
    assert impact.leaving.at_least == 0


def test_a_tree_asks_each_column_once() -> None:
    """Two expressions on the same object are two places of the SQL, and one column to Django."""
    column = models.F("email")
    tree = any_of([Present(column), TextPart(column, "contains", "x")])
    resolved: Any = tree.resolve_expression(User.objects.all().query)  # type: ignore[union-attr]
    assert len(resolved.get_source_expressions()) == 1
