"""A copy of a segment, a list instead of its rules, the archive, tags and owner."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache.compiled_rules import current_ruleset
from featureflags.editing import (
    NotImportable,
    apply,
    archival_of,
    change_in_words,
    copy_of,
    examine,
    export_segments,
    free_key,
    frozen,
    import_remarks,
    import_segments,
    tagged,
    unused_segments,
)
from featureflags.editing.history import restoration
from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"))]


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"pro{number}@example.com", metadata={"plan": "pro"})
    UserFactory.create(email="team@example.com", metadata={"plan": "team"})
    segment: Segment = SegmentFactory.create(key="paying", name="Paying", rules=PRO)
    return segment


def stored(key: str) -> Segment:
    return Segment.objects.get(key=key)


def members(key: str) -> set[tuple[str, str]]:
    rows = SegmentMember.objects.filter(segment__key=key).select_related("user")
    return {(row.user.email.partition("@")[0], row.kind) for row in rows if row.user}


class TestArchive:
    def test_an_archived_segment_is_not_active_and_its_history_says_so(
        self, paying: Segment
    ) -> None:
        apply(examine(archival_of(paying, archived=True)), source="admin")
        assert (stored("paying").is_archived, stored("paying").is_active) == (True, False)
        assert not current_ruleset().ruleset.definitions["paying"].rules
        entry = HistoryEntry.objects.latest("pk")
        assert entry.after is not None
        assert entry.after["isArchived"] is True
        apply(examine(archival_of(stored("paying"), archived=False)), source="admin")
        assert (stored("paying").is_archived, stored("paying").is_active) == (False, False)

    def test_it_is_refused_while_a_flag_that_is_on_uses_it_also_through_another_segment(
        self, paying: Segment, flag_file: FlagFile
    ) -> None:
        through = [rule(clause("", "segmentMatch", "paying"))]
        SegmentFactory.create(key="through", rules=through)
        flag_file(boolean_flag("new-checkout", rules=[segment_rule("through")]))
        for key in ("through", "paying"):
            with pytest.raises(ValidationError, match="flags that are on use it: new-checkout"):
                examine(archival_of(stored(key), archived=True))

    def test_a_flag_that_is_off_does_not_hinder_it_and_asks_for_the_key(
        self, paying: Segment, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("new-checkout", on=False, rules=[segment_rule("paying")]))
        assert examine(archival_of(paying, archived=True)).needs_key

    def test_it_is_refused_while_another_segment_names_it(self, paying: Segment) -> None:
        SegmentFactory.create(key="other", rules=[rule(clause("", "segmentMatch", "paying"))])
        with pytest.raises(ValidationError, match="other segments name it: other"):
            examine(archival_of(paying, archived=True))
        apply(examine(archival_of(stored("other"), archived=True)), source="admin")
        apply(examine(archival_of(paying, archived=True)), source="admin")
        assert stored("paying").is_archived

    @pytest.mark.parametrize("on", [False, True])
    def test_together_with_all_that_name_it_unless_a_flag_that_is_on_uses_one(
        self, paying: Segment, flag_file: FlagFile, on: bool
    ) -> None:
        for key in ("one", "two"):
            SegmentFactory.create(key=key, rules=[rule(clause("", "segmentMatch", "paying"))])
        flag_file(boolean_flag("new-checkout", on=on, rules=[segment_rule("one")]))
        archival, all_of_them = archival_of(paying, archived=True), {"paying", "one", "two"}
        if on:
            with pytest.raises(ValidationError, match="flags that are on use it: new-checkout"):
                examine(archival, together=all_of_them)
            return
        assert examine(archival, together=all_of_them).flags == ("new-checkout",)
        with pytest.raises(ValidationError, match="other segments name it: two"):
            examine(archival, together={"paying", "one"})

    def test_an_archived_segment_cannot_be_active(self) -> None:
        with pytest.raises(ValidationError, match="out of the archive first"):
            SegmentFactory.create(is_archived=True, is_active=True)

    def test_an_import_is_refused_alike(self, paying: Segment, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
        document: Any = export_segments(["paying"], native=True)
        document["segments"]["paying"]["isArchived"] = True
        with pytest.raises(NotImportable, match="new-checkout"):
            import_segments(document)
        assert not stored("paying").is_archived


class TestFreeze:
    def test_everybody_in_it_is_a_member_by_name_and_nobody_moves(self, paying: Segment) -> None:
        gone = UserFactory.create(email="gone@example.com", metadata={"plan": "pro"})
        SegmentMemberFactory.create(segment=paying, user=gone, kind="exclude")
        guest = UserFactory.create(email="guest@example.com")
        until = timezone.now() + datetime.timedelta(days=3)
        SegmentMemberFactory.create(segment=paying, user=guest, reason="A guest", expires_at=until)
        examined = examine(frozen(paying))
        assert examined.moved.count == 0
        apply(examined, source="admin")
        assert stored("paying").rules == []
        assert members("paying") == {
            *((f"pro{number}", "include") for number in range(3)),
            ("guest", "include"),
            ("gone", "exclude"),
        }
        kept = SegmentMember.objects.get(user=guest)
        assert (kept.reason, kept.expires_at) == ("A guest", until)

    def test_it_can_be_restored(self, paying: Segment) -> None:
        created = HistoryEntry.objects.filter(segment_key="paying").latest("pk")
        apply(examine(frozen(paying)), source="admin")
        apply(examine(restoration(created).change), source="admin")
        assert stored("paying").rules == PRO
        assert not members("paying")

    def test_more_than_the_limit_is_refused(self, paying: Segment, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 3}
        apply(examine(frozen(paying)), source="admin")
        again: Segment = SegmentFactory.create(key="again", rules=PRO)
        UserFactory.create(metadata={"plan": "pro"})
        with pytest.raises(ValidationError, match="more than 3 members"):
            frozen(again)
        # Those who are excluded count too.
        other: Segment = SegmentFactory.create(key="other", rules=PRO)
        SegmentMemberFactory.create(segment=other, kind="exclude")
        with pytest.raises(ValidationError, match="more than 3 members"):
            frozen(other)

    def test_without_rules_or_inactive_there_is_nothing_to_freeze(self) -> None:
        with pytest.raises(ValidationError, match="a list already"):
            frozen(SegmentFactory.create())
        with pytest.raises(ValidationError, match="not active"):
            frozen(SegmentFactory.create(rules=PRO, is_active=False))


class TestCopy:
    def test_rules_description_tags_and_members_come_along(self, paying: Segment) -> None:
        apply(examine(tagged(paying, add=["Checkout"])), source="admin")
        SegmentMemberFactory.create(segment=paying, user__email="ada@example.com")
        owner = UserFactory.create(staff=True)
        made = copy_of(paying, key="payers", name="Payers", owner=str(owner.pk), with_members=True)
        apply(examine(made), source="admin")
        copy = stored("payers")
        assert (copy.rules, copy.tags, copy.owner, copy.is_active) == (
            *(PRO, ["checkout"]),
            *(owner, True),
        )
        assert members("payers") == {("ada", "include")}

    def test_a_key_that_is_taken_or_wrong_is_refused(self, paying: Segment) -> None:
        for key in ("paying", "with blank"):
            with pytest.raises(ValidationError) as refused:
                copy_of(paying, key=key, name="Copy")
            assert "key" in refused.value.error_dict

    def test_a_free_key_is_proposed(self, paying: Segment) -> None:
        assert free_key("paying") == "paying_copy"
        SegmentFactory.create(key="paying_copy")
        assert free_key("paying") == "paying_copy_2"
        assert free_key("paying_copy") == "paying_copy_2"


class TestTagsAndOwner:
    def test_tags_are_stored_in_one_form_and_found(self) -> None:
        SegmentFactory.create(key="one", tags=["Beta", "a_b", "beta", " "])
        SegmentFactory.create(key="two", tags=["axb", "beta-2"])
        assert stored("one").tags == ["a_b", "beta"]
        assert [row.key for row in Segment.objects.tagged("BETA")] == ["one"]
        assert [row.key for row in Segment.objects.tagged("a_b")] == ["one"]

    @pytest.mark.parametrize("tags", [["with blank"], ["ü"], "beta", [1], ["x"] * 1 + ["-"]])
    def test_what_is_no_tag_is_refused(self, tags: Any) -> None:
        with pytest.raises(ValidationError):
            SegmentFactory.create(tags=tags)

    def test_the_history_says_what_changed(self, paying: Segment) -> None:
        owner = UserFactory.create(name="Ada")
        before = stored("paying").as_state()
        paying.tags, paying.owner = ["beta"], owner
        paying.save()
        entry = HistoryEntry.objects.latest("pk")
        assert entry.before is not None
        lines = change_in_words(
            examine(restoration(HistoryEntry.objects.get(pk=entry.pk - 1)).change).change,
            with_addresses=False,
        )
        assert lines == ["Tags removed: beta", "Owner removed"]
        assert not before.says_the_same(stored("paying").as_state())

    def test_a_document_keeps_them_by_key_and_one_without_them_changes_nothing(
        self, paying: Segment
    ) -> None:
        owner = UserFactory.create()
        paying.tags, paying.owner = ["beta"], owner
        paying.save()
        document: Any = export_segments(["paying"], native=True)
        assert document["segments"]["paying"]["owner"] == str(owner.pk)
        assert import_segments(document) == []
        written = document["segments"]["paying"]
        for name in ("tags", "owner"):
            del written[name]
        assert import_segments(document) == []
        assert (stored("paying").tags, stored("paying").owner) == (["beta"], owner)
        written |= {"tags": [], "owner": ""}
        import_segments(document)
        assert (stored("paying").tags, stored("paying").owner) == ([], None)

    def test_an_owner_who_is_not_a_user_here_is_left_out_and_named(self, paying: Segment) -> None:
        document: Any = export_segments(["paying"], native=True)
        document["segments"]["paying"]["owner"] = "nobody-here"
        assert import_remarks(document) == [
            "paying: its owner nobody-here is not a user here, and is left out"
        ]
        assert import_segments(document) == []

    def test_a_wrong_document_is_refused_by_its_field(self, paying: Segment) -> None:
        document: Any = export_segments(["paying"], native=True)
        for name, wrong in (("tags", "beta"), ("owner", 7), ("isArchived", "yes")):
            broken = {"segments": {"paying": {**document["segments"]["paying"], name: wrong}}}
            with pytest.raises(NotImportable, match=r"^paying: "):
                import_segments(broken)

    def test_an_owner_who_is_deleted_leaves_the_segment(self, paying: Segment) -> None:
        owner = UserFactory.create(staff=True)
        owner_key = owner.pk
        paying.owner = owner
        paying.save()
        owned = HistoryEntry.objects.latest("pk")
        paying.owner = None
        paying.save()
        owner.delete()
        assert stored("paying").owner is None
        assert str(owner_key) not in json.dumps(
            list(HistoryEntry.objects.values_list("before", "after"))
        )
        # What is restored has nobody as its owner.
        assert restoration(HistoryEntry.objects.get(pk=owned.pk)).change.is_nothing


def test_unused_segments_are_those_that_no_flag_leads_to(
    paying: Segment, flag_file: FlagFile
) -> None:
    SegmentFactory.create(key="through", rules=[rule(clause("", "segmentMatch", "paying"))])
    SegmentFactory.create(key="alone")
    flag_file(boolean_flag("new-checkout", on=False, rules=[segment_rule("through")]))
    unused = unused_segments()
    assert unused is not None
    assert "alone" in unused
    assert not {"through", "paying"} & {*unused}
