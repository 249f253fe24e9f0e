"""A segment of another kind is changed, exported, imported, restored and forgotten like one of users."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.editing import (
    NotImportable,
    apply,
    change_in_words,
    change_to,
    deletion_of,
    examine,
    export_segments,
    find_members,
    forget_deleted_rows,
    import_segments,
    membership_change,
    read_member_list,
)
from featureflags.editing.history import describe, entries_of, members_after, restoration
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import HistoryMember, Segment, SegmentMember
from featureflags.models.changesets import MemberState
from featureflags.segments.export import to_launchdarkly
from featureflags.segments.parsing import parse_definition
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import clause, rule

INCLUDED = MemberState(kind="include", reason="A pilot", expires_at=None)


@pytest.fixture
def acme(organizations: CompiledKind, db: None) -> Company:
    Company.objects.create(name="Small", seats=1)
    return Company.objects.create(name="Acme", seats=51)


@pytest.fixture
def segment(acme: Company) -> Segment:
    large = rule(clause("seats", "greaterThan", 50))
    found = Segment(key="large", kind=ORGANIZATION, name="Large", rules=[large])
    [stored] = apply(examine(change_to(found)), source="test", row=found)
    return stored


def included(segment: Segment, company: Company) -> None:
    apply(examine(membership_change(segment, {str(company.pk): INCLUDED})), source="test")


def test_a_member_is_examined_written_and_described(segment: Segment) -> None:
    small = Company.objects.get(name="Small")
    examined = examine(membership_change(segment, {str(small.pk): INCLUDED}))
    assert (examined.moved.entering, examined.moved.leaving) == (1, 0)
    assert change_in_words(examined.change, with_addresses=True) == [
        "Included 1 company: Small (“A pilot”)"
    ]
    apply(examined, source="test")
    assert SegmentMember.objects.get().key == str(small.pk)
    entry = entries_of("large").first()
    assert entry is not None
    assert members_after(entry) == {str(small.pk): INCLUDED}
    [described, _created] = describe(entries_of("large"), sees={"user", "organization"})
    assert described.lines == ("Included 1 company: Small (“A pilot”)",)
    [hidden, _created] = describe(entries_of("large"), sees={"user"})
    assert hidden.lines == (f"Included 1 company: {small.pk} (“A pilot”)",)


def test_a_changed_and_a_removed_member(segment: Segment) -> None:
    small = Company.objects.get(name="Small")
    included(segment, small)
    made = SegmentMember.objects.get().created_at
    excluded = MemberState(kind="exclude", reason="", expires_at=None)
    apply(examine(membership_change(segment, {str(small.pk): excluded})), source="test")
    stored = SegmentMember.objects.get()
    assert (stored.kind, stored.created_at) == ("exclude", made)
    apply(examine(membership_change(segment, {str(small.pk): None})), source="test")
    assert not SegmentMember.objects.exists()


@pytest.mark.parametrize("native", [True, False])
def test_an_export_comes_back_as_it_was(segment: Segment, acme: Company, native: bool) -> None:
    included(segment, acme)
    document = export_segments(["large"], native=native)
    found: Any = document["segments"]
    dumped = found["large"]
    if native:
        assert (dumped["kind"], dumped["included"]) == (ORGANIZATION, [str(acme.pk)])
        assert import_segments(document) == []
    else:
        assert dumped["includedContexts"] == [
            {"contextKind": ORGANIZATION, "values": [str(acme.pk)]}
        ]
        assert dumped["rules"][0]["clauses"][0]["contextKind"] == ORGANIZATION
        assert "kind" not in dumped
    apply(examine(deletion_of(segment)), source="test")
    [created] = import_segments(document)
    assert created.moved.entering == 1
    again = Segment.objects.get(key="large")
    assert (again.kind, again.rules[0]["clauses"][0]["attribute"]) == (ORGANIZATION, "seats")
    assert SegmentMember.objects.get().key == str(acme.pk)


def problems(**fields: Any) -> tuple[str, ...]:
    with pytest.raises(NotImportable) as caught:
        import_segments({"segments": {"large": {"rules": [], **fields}}})
    return caught.value.problems


def test_what_cannot_be_imported(segment: Segment) -> None:
    def contexts(kind: str) -> list[dict[str, Any]]:
        return [{"contextKind": kind, "values": ["999"]}]

    assert problems(kind="device") == (
        "large: there is no kind 'device'. The kinds are: user, organization",
    )
    assert problems(kind="user") == (
        "large: its kind is 'user', and the stored segment is on 'organization'",
    )
    assert problems(includedContexts=contexts(ORGANIZATION)) == (
        "large: there is no organization '999'",
    )
    assert problems(kind=ORGANIZATION, includedContexts=contexts("device")) == (
        "large: IncludedContexts: the members are of 'device', and the segment of 'organization'",
    )
    mixed = [
        rule(clause("seats", "in", 1) | {"contextKind": ORGANIZATION}, clause("email", "in", "a"))
    ]
    assert problems(rules=mixed) == (
        "large: Rule 1, condition 1: the condition is on 'organization', and the segment on 'user':"
        " say which 'organization' belongs to a row of 'user', with"
        ' organization = Related("…", kind="organization") in kinds.py',
    )
    assert problems(includedContexts=["1"]) == (
        "large: IncludedContexts must be a list of objects with contextKind and values",
    )


def test_a_name_with_a_slash_is_a_path_for_launchdarkly(acme: Company) -> None:
    odd = rule(clause("/a~b", "in", 1))
    definition = parse_definition({"key": "odd", "kind": ORGANIZATION, "rules": [odd]})
    dumped: Any = to_launchdarkly(definition)
    assert dumped["rules"][0]["clauses"][0]["attribute"] == "/~1a~0b"
    assert parse_definition(dumped).kind == ORGANIZATION


def test_a_deleted_segment_is_restored_with_its_kind_and_members(
    segment: Segment, acme: Company
) -> None:
    included(segment, acme)
    apply(examine(deletion_of(segment)), source="test")
    entry = entries_of("large").first()
    assert entry is not None
    assert entry.before is not None
    assert entry.before["kind"] == ORGANIZATION
    apply(examine(restoration(entry).change), source="test")
    assert Segment.objects.get(key="large").kind == ORGANIZATION
    assert SegmentMember.objects.get().key == str(acme.pk)


def test_a_deleted_row_is_forgotten(segment: Segment, acme: Company) -> None:
    small = Company.objects.get(name="Small")
    included(segment, acme)
    included(segment, small)
    assert forget_deleted_rows() == 0
    small.delete()
    assert forget_deleted_rows() == 1
    assert SegmentMember.objects.get().key == str(acme.pk)
    kept = HistoryMember.objects.exclude(key="").values_list("key", "reason_after")
    assert list(kept) == [(str(acme.pk), "A pilot")]
    assert not HistoryMember.objects.filter(key="").exclude(reason_after="").exists()
    last = entries_of("large").first()
    assert last is not None
    [described] = describe([last], sees={"user", "organization"})
    assert described.lines == ("No longer includes 1 company: (deleted company)",)
    assert (last.source, last.actor) == ("forget_deleted_rows", None)
    assert forget_deleted_rows() == 0


def test_a_list_names_companies_by_key_and_name(acme: Company, organizations: CompiledKind) -> None:
    twins = [Company.objects.create(name="Twin Ltd") for _ in range(2)]
    small = Company.objects.get(name="Small")
    text = f"name,reason\nAcme,Pilot\n{small.pk},\nTwin Ltd,\nNobody Inc,\n"
    listed = read_member_list(text, organizations)
    found = find_members(listed, INCLUDED, kind=organizations)
    assert {key: state.reason for key, state in found.members.items()} == {
        str(acme.pk): "Pilot",
        str(small.pk): "",
    }
    assert [str(problem) for problem in found.problems] == [
        "Line 4: 2 rows are called Twin Ltd. Write the key instead.",
        "Line 5: no organization has the key or name Nobody Inc.",
    ]
    row = read_member_list(f"Acme, {twins[0].pk}\nTwin Ltd", organizations)
    found = find_members(row, INCLUDED, kind=organizations)
    assert set(found.members) == {str(acme.pk), str(twins[0].pk)}
