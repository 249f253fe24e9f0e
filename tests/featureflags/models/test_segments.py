"""Segments and members: what may be saved, and that every write raises the version."""

from __future__ import annotations

import datetime
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache.compiled_rules import current_ruleset
from featureflags.evaluation.resolve import resolve
from featureflags.models import RuleProblem, Segment, SegmentMember, segments, validation
from featureflags.models.versions import RulesetVersion
from featureflags.segments.parsing import parse_rules
from tests.factories import (
    SegmentFactory,
    SegmentMemberFactory,
    UserFactory,
    clause,
    rule,
)

pytestmark = pytest.mark.django_db

GOOD = clause("role", "in", "admin")

REFUSED: list[tuple[Any, str]] = [
    ({}, "rules must be a list"),
    ([[]], "Rule 1: a rule must be an object"),
    ([rule()], "Rule 1: add at least one condition"),
    ([rule(GOOD), rule(GOOD, clause("nope", "in", "x"))], "Rule 2, condition 2: .*nope"),
    ([rule(clause("role", "is", "x"))], "Rule 1, condition 1: unknown operator 'is'"),
    ([rule(clause("role", "in"))], "Rule 1, condition 1: add at least one value"),
    ([rule(clause("email_verified", "in", "yes"))], "Rule 1, condition 1: "),
    ([rule(clause("account_age_days", "lessThan", "7"))], "Rule 1, condition 1: "),
    ([rule(clause("account_age_days", "lessThan", True))], "Rule 1, condition 1: "),
    ([rule(clause("email", "matches", "("))], "Rule 1, condition 1: .*not a valid expression"),
    ([rule(clause("created_at", "before", "2025-01-01"))], "Rule 1, condition 1: .*RFC 3339"),
    ([rule(clause("", "segmentMatch", "nowhere"))], "Rule 1, condition 1: .*nowhere"),
    ([rule(clause("", "segmentMatch", "mine"))], "use each other: mine → mine"),
    ([rule(GOOD, weight=500_000)], "Rule 1: weight"),
    ([rule(GOOD, weight=1, bucketBy=5)], "Rule 1: bucketBy"),
    ([rule(GOOD, weight=1, rolloutContextKind="organization")], "Rule 1: the percentage is of"),
    ([rule(GOOD, colour="red")], "Rule 1: unknown field 'colour'"),
    ([rule({**GOOD, "contextKind": "org"})], "Rule 1, condition 1: .*'org'"),
]


class TestValidation:
    @pytest.mark.parametrize(("rules", "message"), REFUSED)
    def test_what_is_wrong_is_refused_by_rule_and_condition(self, rules: Any, message: str) -> None:
        with pytest.raises(ValidationError, match=message) as caught:
            Segment(key="mine", name="Mine", rules=rules).save()
        assert set(caught.value.message_dict) == {"rules"}
        assert not Segment.objects.filter(key="mine").exists()

    def test_all_problems_are_reported_at_once(self) -> None:
        with pytest.raises(ValidationError) as caught:
            SegmentFactory.create(
                rules=[rule(clause("nope", "in", "x")), rule(), rule(clause("role", "in"))]
            )
        assert len(caught.value.message_dict["rules"]) >= 2

    @pytest.mark.parametrize(
        ("clause", "start"),
        [
            ({}, "choose an attribute"),
            ({"attribute": "role"}, "choose an operator"),
            ({"attribute": "role", "op": "in"}, "add at least one value"),
            ({"attribute": "/a//b", "contextKind": "user", "op": "in"}, "the path '/a//b' has"),
        ],
    )
    def test_an_incomplete_condition_reports_the_first_missing_part(
        self, clause: dict[str, Any], start: str
    ) -> None:
        with pytest.raises(ValidationError) as refused:
            SegmentFactory.create(rules=[{"clauses": [clause]}])
        problems = refused.value.error_dict["rules"]
        assert problems[0].messages[0].startswith(f"Rule 1, condition 1: {start}")
        assert len(problems) == (2 if "contextKind" in clause else 1)
        first = problems[0]
        assert isinstance(first, RuleProblem)
        assert (first.problem.rule, first.problem.clause) == (1, 1)

    def test_a_change_that_is_refused_leaves_the_row_as_it_was(self) -> None:
        segment = SegmentFactory.create(rules=[rule(GOOD)])
        segment.rules = [rule()]
        with pytest.raises(ValidationError):
            segment.save()
        segment.refresh_from_db()
        assert segment.rules == [rule(GOOD)]

    def test_a_save_parses_the_rules_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        segment = SegmentFactory.create(key="mine", rules=[rule(GOOD)])
        parsed: list[object] = []
        real = parse_rules

        def noted(raw: object, kind: str) -> object:
            parsed.append(raw)
            return real(raw, kind)

        monkeypatch.setattr(validation, "parse_rules", noted)
        segment.rules = [rule(clause("email", "in", "Mira@agpt.co"))]
        segment.full_clean()
        segment.save()
        assert segment.stored_rules().checked.warnings()
        assert [remark.code for remark in segment.stored_rules().remarks] == ["stored_form"]
        assert len(parsed) == 1

    @pytest.mark.parametrize("value", [1, 1.0, "admin "])
    def test_rules_that_change_in_place_are_checked_again(self, value: object) -> None:
        segment = SegmentFactory.create(key="mine", rules=[rule(clause("custom_x", "in", True))])
        segment.rules[0]["clauses"][0]["values"][0] = value
        segment.save()
        found = segment.stored_rules().checked.rules[0].clauses[0].values
        assert [(each, type(each)) for each in found] == [
            (each, type(each))
            for each in Segment.objects.get(key="mine").rules[0]["clauses"][0]["values"]
        ]
        segment.rules[0]["clauses"][0]["op"] = "is"
        with pytest.raises(ValidationError, match="unknown operator 'is'"):
            segment.save()

    def test_a_cycle_over_several_segments_is_refused(self) -> None:
        SegmentFactory.create(key="a", rules=[rule(clause("", "segmentMatch", "admin"))])
        SegmentFactory.create(key="b", rules=[rule(clause("", "segmentMatch", "a"))])
        first = Segment.objects.get(key="a")
        first.rules = [rule(GOOD), rule(GOOD, clause("", "segmentMatch", "b"))]
        with pytest.raises(ValidationError, match=r"Rule 2, condition 2: .*a → b → a"):
            first.save()

    def test_a_save_reads_only_the_segments_that_it_leads_to(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All of them for each of many would take the square of their number."""
        for n in range(8):
            named = [clause("", "segmentMatch", f"s{n - 1}")] if n % 4 else []
            SegmentFactory.create(key=f"s{n}", rules=[rule(GOOD, *named)])
        read = Mock(wraps=segments._named_by)
        monkeypatch.setattr(segments, "_named_by", read)
        SegmentFactory.create(key="leads", rules=[rule(clause("", "segmentMatch", "s2"))])
        assert read.call_count == 3
        SegmentFactory.create(key="alone", rules=[rule(GOOD)])
        assert read.call_count == 3

    def test_the_key_cannot_change(self) -> None:
        segment = SegmentFactory.create(key="old")
        segment.key = "new"
        with pytest.raises(ValidationError, match="cannot change") as caught:
            segment.save()
        assert "key" in caught.value.message_dict

    def test_the_key_of_a_row_that_was_loaded_without_it_cannot_change(self) -> None:
        segment = Segment.objects.defer("key").get(pk=SegmentFactory.create(key="old").pk)
        segment.key = "new"
        with pytest.raises(ValidationError, match="cannot change"):
            segment.save()
        assert Segment.objects.get(pk=segment.pk).key == "old"

    @pytest.mark.parametrize("key", ["", "with space", "ü", "a/b", "-a", "x" * 101, "a\n"])
    def test_a_key_that_launchdarkly_refuses_is_refused(self, key: str) -> None:
        with pytest.raises(ValidationError):
            SegmentFactory.create(key=key)

    def test_update_does_not_go_round_the_validation(self) -> None:
        SegmentFactory.create()
        with pytest.raises(ValueError, match="one by one"):
            Segment.objects.update(rules=[{}])
        with pytest.raises(ValueError, match="one by one"):
            Segment.objects.update(key="x")

    def test_bulk_create_saves_all_or_none(self) -> None:
        rows = [Segment(key="one", name="1"), Segment(key="two", name="2", rules=[rule()])]
        with pytest.raises(ValidationError):
            Segment.objects.bulk_create(rows)
        assert not Segment.objects.filter(key="one").exists()

    def test_a_segment_that_another_names_cannot_be_deleted(self) -> None:
        SegmentFactory.create(key="base")
        SegmentFactory.create(key="top", rules=[rule(clause("", "segmentMatch", "base"))])
        for delete in (
            Segment.objects.get(key="base").delete,
            Segment.objects.filter(key="base").delete,
        ):
            with pytest.raises(ProtectedError, match="top"), transaction.atomic():
                delete()
        Segment.objects.get(key="top").delete()
        Segment.objects.get(key="base").delete()


class TestMembers:
    def test_a_user_is_a_member_once(self) -> None:
        member = SegmentMemberFactory.create()
        with pytest.raises(ValidationError, match="member of the segment already"):
            SegmentMemberFactory.create(segment=member.segment, user=member.user)

    def test_an_expiry_that_has_passed_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="passed already"):
            SegmentMemberFactory.create(expires_at=timezone.now())

    def test_a_segment_has_a_limit_of_members(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 2}
        segment = SegmentFactory.create()
        SegmentMemberFactory.create_batch(2, segment=segment)
        with pytest.raises(ValidationError, match="at most 2"):
            SegmentMemberFactory.create(segment=segment)
        other = SegmentFactory.create(key="other")
        users = UserFactory.create_batch(3)
        with pytest.raises(ValidationError, match="would have 3 members"):
            SegmentMember.objects.bulk_create(
                [SegmentMember(segment=other, user=user) for user in users]
            )
        assert not other.members.exists()

    def test_its_text_names_no_address(self) -> None:
        assert "@" not in str(SegmentMemberFactory.create())

    def test_inclusion_beats_exclusion_beats_rules_and_expiry_ends_both(self) -> None:
        user = UserFactory.create(role="admin")
        segment = SegmentFactory.create(key="s", rules=[rule(GOOD)])
        member = SegmentMemberFactory.create(
            segment=segment, user=user, kind=SegmentMember.Kind.EXCLUDE
        )
        assert "s" not in resolve(user).segments
        member.kind = SegmentMember.Kind.INCLUDE
        member.save()
        segment.rules = []
        segment.save()
        assert "s" in resolve(user).segments
        member.expires_at = timezone.now() + datetime.timedelta(seconds=60)
        member.save()
        context = resolve(user)
        assert "s" in context.segments
        assert context.valid_until is not None
        soon = (timezone.now() + datetime.timedelta(seconds=61)).timestamp() * 1e6
        assert context.valid_until < soon
        SegmentMember.objects.filter(pk=member.pk).update(
            expires_at=timezone.now() - datetime.timedelta(seconds=1)
        )
        assert "s" not in resolve(user).segments


WRITES: dict[str, Any] = {
    "segment save": lambda s, m: s.save(),
    "segment create": lambda s, m: SegmentFactory.create(),
    "segment update": lambda s, m: Segment.objects.update(name="x"),
    "segment bulk_create": lambda s, m: Segment.objects.bulk_create([Segment(key="n", name="n")]),
    "segment bulk_update": lambda s, m: Segment.objects.bulk_update([s], ["name"]),
    "segment delete": lambda s, m: s.delete(),
    "segments delete": lambda s, m: Segment.objects.filter(pk=s.pk).delete(),
    "member save": lambda s, m: m.save(),
    "member create": lambda s, m: SegmentMemberFactory.create(segment=s),
    "member update": lambda s, m: SegmentMember.objects.update(reason="x"),
    "member bulk_create": lambda s, m: SegmentMember.objects.bulk_create(
        [SegmentMember(segment=s, user=UserFactory.create())]
    ),
    "member bulk_update": lambda s, m: SegmentMember.objects.bulk_update([m], ["reason"]),
    "member delete": lambda s, m: m.delete(),
    "members delete": lambda s, m: SegmentMember.objects.filter(pk=m.pk).delete(),
    "user of a member delete": lambda s, m: m.user.delete(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_write_raises_the_version(write: Any) -> None:
    member = SegmentMemberFactory.create()
    before, loaded = RulesetVersion.read(), current_ruleset()
    assert loaded.version == before
    write(member.segment, member)
    assert RulesetVersion.read() != before
    assert int(RulesetVersion.read().split("-")[0]) > int(before.split("-")[0])
    assert current_ruleset().version == RulesetVersion.read()


def test_a_failed_save_raises_nothing() -> None:
    before = RulesetVersion.read()
    with pytest.raises(ValidationError):
        SegmentFactory.create(rules=[rule()])
    assert RulesetVersion.read() == before


def test_there_is_one_version_row() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        RulesetVersion.objects.create(pk=2)


def test_a_segment_s_own_version_rises_with_each_save() -> None:
    segment = SegmentFactory.create()
    stale = Segment.objects.get(pk=segment.pk)
    segment.save()
    stale.save(update_fields=["name"])
    assert Segment.objects.get(pk=segment.pk).version == 3
