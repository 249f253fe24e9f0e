"""`apply` writes what was examined: all of it in one changeset, or nothing."""

from __future__ import annotations

import ast
import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.utils import timezone

from featureflags.editing import apply, change_to, deletion_of, examine, membership_change
from featureflags.editing.history import restoration
from featureflags.models import HistoryEntry, Segment, SegmentMember, StaleSegment
from featureflags.models.changesets import MemberState, Moved
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.editing.changing import INCLUDED, PRO, TEAM, people

SURFACES = ("admin", "api", "management", "templatetags")


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> None:
    flag_file()


@pytest.fixture
def segment(db: None) -> Segment:
    return SegmentFactory.create(key="beta", name="Beta", rules=PRO)


def last() -> HistoryEntry:
    return HistoryEntry.objects.latest("pk")


def test_a_new_segment(db: None) -> None:
    people(3, plan="pro")
    examined = examine(change_to(Segment(key="new", name="New", rules=PRO)))
    (written,) = apply(examined, source="script", note="Launch")
    assert Segment.objects.get(key="new") == written
    entry = last()
    assert (entry.kind, entry.source, entry.note) == ("created", "script", "Launch")
    assert (entry.entering, entry.leaving) == (3, 0)


def test_the_numbers_of_the_examination_go_into_the_history(segment: Segment) -> None:
    people(2, plan="team")
    segment.rules = TEAM
    examined = examine(change_to(segment))
    people(5, plan="team")
    apply(examined, source="script")
    assert examined.moved == Moved(entering=2, leaving=0)
    assert (last().entering, last().leaving) == (2, 0)


def test_only_the_given_columns_are_written(segment: Segment) -> None:
    segment.name = "Mine"
    change = change_to(segment, columns=frozenset({"name"}))
    Segment.objects.filter(pk=segment.pk).update(description="Theirs")
    apply(examine(change), source="script")
    stored = Segment.objects.get(key="beta")
    assert (stored.name, stored.description) == ("Mine", "Theirs")


def test_another_version_than_the_expected_one_is_refused(segment: Segment) -> None:
    segment.name = "Mine"
    change = replace(change_to(segment), expected_version=segment.version)
    Segment.objects.filter(pk=segment.pk).update(description="Theirs")
    with pytest.raises(StaleSegment):
        apply(examine(change), source="script")
    assert Segment.objects.get(key="beta").name == "Beta"


def test_a_segment_that_is_gone_is_refused(segment: Segment) -> None:
    segment.name = "Mine"
    change = change_to(segment)
    Segment.objects.filter(key="beta").delete()
    with pytest.raises(StaleSegment):
        apply(examine(change), source="script")
    assert not Segment.objects.filter(key="beta").exists()


def test_members_change_in_place_and_the_row_of_the_segment_stays(segment: Segment) -> None:
    stays = SegmentMemberFactory.create(segment=segment, reason="VIP")
    goes = SegmentMemberFactory.create(segment=segment)
    comes = UserFactory.create()
    soon = timezone.now() + datetime.timedelta(days=1)
    change = membership_change(
        segment,
        {
            str(stays.user_id): MemberState(kind="include", reason="VIP", expires_at=soon),
            str(goes.user_id): None,
            str(comes.pk): INCLUDED,
        },
    )
    # Somebody else changes what this change leaves as it is.
    SegmentMember.objects.filter(pk=stays.pk).update(reason="Theirs")
    version = Segment.objects.get(key="beta").version
    apply(examine(change), source="script")
    stays.refresh_from_db()
    assert (stays.reason, stays.expires_at) == ("Theirs", soon)
    assert {row.user_id for row in SegmentMember.objects.all()} == {stays.user_id, comes.pk}
    assert Segment.objects.get(key="beta").version == version


def test_several_changes_are_written_together_or_not_at_all(segment: Segment) -> None:
    SegmentFactory.create(key="wide", rules=[rule(clause("", "segmentMatch", "beta"))])
    free = SegmentFactory.create(key="free")
    before = last().pk
    with pytest.raises(ProtectedError):
        apply(*(examine(deletion_of(one)) for one in (free, segment)), source="script")
    assert Segment.objects.filter(key__in=["beta", "free"]).count() == 2
    assert last().pk == before


def test_a_restore_names_the_entry_that_it_restores(segment: Segment) -> None:
    old = last()
    segment.name = "Other"
    apply(examine(change_to(segment)), source="script")
    apply(examine(restoration(old).change), source="script")
    assert Segment.objects.get(key="beta").name == "Beta"
    assert last().restored == old


def test_what_the_model_refuses_is_not_written(segment: Segment) -> None:
    segment.rules = [{"clauses": [{"attribute": "custom_x", "op": "nonsense", "values": [1]}]}]
    with pytest.raises(ValidationError):
        apply(examine(change_to(segment)), source="script")
    assert Segment.objects.get(key="beta").rules == PRO


def test_surfaces_open_no_changeset_of_their_own() -> None:
    """They examine and apply, so that none of them writes past the other's questions."""
    root = Path(__file__).parents[3] / "featureflags"
    found = [
        str(path.relative_to(root))
        for surface in SURFACES
        for path in (root / surface).rglob("*.py")
        if "demo" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and "open_changeset" in {alias.name for alias in node.names}
    ]
    assert found == []
