"""Odd segments of LaunchDarkly: engine and SQL answer as its SDK does, for odd users and companies."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.db import transaction

from featureflags.audience.sql.compiler import compile_segment
from featureflags.contexts.attributes import attributes_of
from featureflags.core.types import Attributes
from featureflags.editing import NotImportable, import_remarks, import_segments
from featureflags.editing.documents import read_segments
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kinds
from featureflags.models import Segment
from featureflags.segments.ruleset import Ruleset
from tests.customers.models import Company
from tests.featureflags.audience.sql.people import INSTANT, NOW, create_people
from tests.featureflags.editing.odd_segments import CASES, REFUSED, Json
from tests.featureflags.segments.sdk import Sdk

Rows = Mapping[str, Mapping[str, Attributes]]


@pytest.fixture
def rows(db: None, organizations: CompiledKind) -> Rows:
    """The attributes of all rows, by kind and key."""
    del db, organizations
    create_people(lists=True)
    for number, seats in enumerate((1, 5, 50, 0), 1):
        Company.objects.create(pk=number, name=f"c{number}", seats=seats, founded=INSTANT)
    return {
        kind.name: {row.key: attributes_of(row, NOW) for row in kind.snapshots(kind.rows())}
        for kind in kinds()
    }


def imported(found: list[Json]) -> Ruleset:
    """Raises NotImportable."""
    with transaction.atomic():
        import_segments({"segments": {str(one["key"]): one for one in found}})
    return Ruleset(document.in_force for document in read_segments().values())


def contexts(kind: str, attributes: Attributes, rows: Rows) -> list[Json]:
    """A row by itself, and beside one of the other kind."""
    alone = {"kind": kind, **attributes}
    other = next(name for name in rows if name != kind)
    beside = next(iter(rows[other].values()))
    return [alone, {"kind": "multi", kind: {**attributes}, other: {**beside}}]


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_answers_as_the_sdk_does(sdk: Sdk, rows: Rows, name: str) -> None:
    found = CASES[name]
    ruleset = imported(found)
    definition = ruleset.definitions["odd"]
    [kind] = [each for each in kinds() if each.name == definition.kind]
    members = {
        key
        for key, attributes in rows[kind.name].items()
        if ruleset.matches("odd", attributes, now=NOW)
    }
    tests_kind = '"kind"' in str(found).replace("'", '"')
    for key, attributes in rows[kind.name].items():
        asked = contexts(kind.name, attributes, rows)
        # The name of the kind is true of each part of a context; a row here is one part.
        for context in asked[:1] if tests_kind else asked:
            answer = sdk.answer(found, "odd", context)
            assert (key in members) is bool(answer), (key, attributes, answer)
    compiled = compile_segment(ruleset, "odd", now=NOW)
    surely, at_most = (
        set(kind.keys(kind.rows().filter(each))) for each in (compiled.lower, compiled.upper)
    )
    assert surely <= members <= at_most
    if compiled.exact:
        assert surely == members


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_has_no_form_here_is_refused_in_words(rows: Rows, name: str) -> None:
    found, why = REFUSED[name]
    before = list(Segment.objects.values())
    with pytest.raises(NotImportable) as refused:
        imported(found)
    assert why in " ".join(refused.value.problems)
    assert list(Segment.objects.values()) == before


@pytest.mark.embedded_stack
def test_most_cases_divide_the_users(rows: Rows) -> None:
    """Cases that take everybody or nobody prove little: they are few. The engine knows no database."""
    divided = 0
    for found in CASES.values():
        with transaction.atomic():
            ruleset = imported(found)
            transaction.set_rollback(True)
        people = rows[ruleset.definitions["odd"].kind].values()
        members = sum(ruleset.matches("odd", each, now=NOW) for each in people)
        divided += 0 < members < len(people)
    assert divided > len(CASES) / 2


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        (
            "no values",
            "odd: Rule 1, condition 1: no value can match, so that the rule takes nobody: saved as 0 %",
        ),
        (
            "no values, negated",
            "odd: Rule 1, condition 1: no value can match, so that it holds for everybody who has the"
            " attribute",
        ),
        (
            "some values that never fit",
            'odd: Rule 1, condition 1: "abc", null never match with this operator: left out',
        ),
    ],
)
def test_what_is_saved_in_another_form_is_said(rows: Rows, name: str, remark: str) -> None:
    found = {str(one["key"]): one for one in CASES[name]}
    assert import_remarks({"segments": found}) == [remark]
