"""How many users a segment has, and how many rules that are not saved would move."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import kind_of, part_data, sees_people
from featureflags.api.examples import request_example, response_example
from featureflags.api.key_kinds import require_kind
from featureflags.api.policy import ApiPolicy
from featureflags.api.problem_serializers import PartSerializer
from featureflags.api.rule_serializers import RULE, RulesField
from featureflags.api.segment_serializers import ADA, STAMP
from featureflags.api.strict import StrictBooleanField, StrictCharField, StrictSerializer
from featureflags.api.subjects import StaffWhoMayLook, segment_of
from featureflags.audience import daily_counts, lint_segment, preview_of, unsaved_segment
from featureflags.kinds.registry import USER
from featureflags.models import Scope, Segment, SegmentSize
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import load_rules

FINDINGS = (
    *("contradiction", "percentage", "duplicate", "inside", "nobody"),
    *("unknown_field", "unknown_value", "type"),
)
COUNTED = ("at_least", "at_most", "users", "counted_at")
LINTED = {
    "findings": [
        {
            "code": "unknown_value",
            "message": 'nobody has the value "pr0"',
            "advice": 'Did you mean "pro"?',
            "rule": 1,
            "clause": 1,
            "is_dead": False,
        }
    ],
    "is_complete": True,
}


@request_example("Other rules for a stored segment", {"rules": [RULE], "is_active": True})
class PreviewedSerializer(StrictSerializer[Any]):
    """Rules that are not saved."""

    rules = RulesField()
    is_active = StrictBooleanField(default=True)
    quick = StrictBooleanField(
        default=False,
        help_text="true: answer within some 0.3 s, with estimates where many match in a large table.",
    )
    kind = StrictCharField(
        default=USER, max_length=100, help_text="Of a new segment. A stored one keeps its own."
    )


class FindingSerializer(serializers.Serializer[Any]):
    """Something odd about the rules, and how to mend it."""

    code = serializers.ChoiceField(choices=FINDINGS)
    message = serializers.CharField()
    advice = serializers.CharField(help_text="How to mend it.")
    rule = serializers.IntegerField(help_text="Counted from 1.")
    clause = serializers.IntegerField(
        allow_null=True, help_text="The condition, counted from 1; null: the whole rule."
    )
    is_dead = serializers.BooleanField(help_text="true: the rule is proven to match nobody, ever.")


@response_example("A value that nobody has", LINTED)
class LintSerializer(serializers.Serializer[Any]):
    """What is odd about the rules of a segment."""

    findings = FindingSerializer(many=True)
    is_complete = serializers.BooleanField(
        help_text="false: time was up before all rows were looked at."
    )


@response_example(
    "Two users more",
    {
        "users": {"at_least": 5000, "exact": True},
        "matching": {
            "at_least": 1202,
            "exact": True,
            "sample": [{"key": ADA, "email": "ada@example.com"}],
        },
        "entering": {"at_least": 2, "exact": True, "sample": []},
        "leaving": {"at_least": 0, "exact": True, "sample": []},
        "warnings": [],
        "remarks": [],
        "lint": LINTED,
    },
)
class PreviewSerializer(serializers.Serializer[Any]):
    """Who would be in the segment. Past the time for counting each number is a lower bound, with an
    estimate where a large table has a sample."""

    users = PartSerializer(help_text="All users, without examples.")
    matching = PartSerializer()
    entering = PartSerializer()
    leaving = PartSerializer()
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="Rules that users can satisfy by themselves."
    )
    remarks = serializers.ListField(
        child=serializers.CharField(), help_text="Values that would be changed to be saved."
    )
    lint = LintSerializer()


class PreviewView(ApiPolicy):
    """Who would be in a segment with these rules, who would enter and who would leave.

    Nothing is written. A key that no segment has is that of a new one, which everybody who matches enters.
    """

    needed_scope = Scope.READ
    has_limits = True
    names_segment = "key"
    permission_classes = [StaffWhoMayLook]

    @extend_schema(
        operation_id="segments_preview",
        request=PreviewedSerializer,
        responses=PreviewSerializer,
    )
    def post(self, request: Request, key: str) -> Response:
        data = PreviewedSerializer.read(request.data)
        segment = Segment.objects.fresh(key) or Segment(key=key, kind=data["kind"])
        require_kind(request, segment.kind)
        segment.rules = data["rules"]
        segment.clean()
        rules = segment.stored_rules()
        unsaved = unsaved_segment(
            key,
            segment.rules,
            kind=segment.kind,
            is_active=data["is_active"],
        )
        impact = preview_of(unsaved, quick=data["quick"])
        kind = kind_of(segment)
        may_see = sees_people(request, kind)
        parts = {name: getattr(impact, name) for name in ("matching", "entering", "leaving")}
        body = {
            "users": part_data(impact.users, kind, may_see=False),
            **{name: part_data(part, kind, may_see=may_see) for name, part in parts.items()},
            "warnings": [str(one) for one in rules.checked.warnings()],
            "remarks": [str(one) for one in rules.remarks],
            "lint": LintSerializer(lint_segment(unsaved)).data,
        }
        return Response(body)


class LintView(ApiPolicy):
    """What is odd about the rules of a stored segment, and how to mend it.

    Conditions that exclude each other, rules inside others, values and metadata fields that nobody has,
    comparisons that do not fit, and rules that match nobody.
    """

    has_limits = True
    names_segment = "key"
    permission_classes = [StaffWhoMayLook]

    @extend_schema(operation_id="segments_lint", responses=LintSerializer)
    def get(self, _request: Request, key: str) -> Response:
        segment = segment_of(key)
        rules, _problems = load_rules(segment.rules, segment.kind)
        definition = SegmentDefinition(key=key, kind=segment.kind, rules=rules, salt=segment.salt)
        return Response(LintSerializer(lint_segment(definition)).data)


class DailySizeSerializer(serializers.Serializer[Any]):
    """The size on one day, in the time zone of the site."""

    day = serializers.DateField()
    at_least = serializers.IntegerField()
    at_most = serializers.IntegerField()


@response_example(
    "Counted this hour",
    {
        "key": "paying_customer",
        "at_least": 1200,
        "at_most": 1200,
        "users": 5000,
        "counted_at": STAMP,
        "outdated": False,
        "days": [{"day": "2026-11-26", "at_least": 1200, "at_most": 1200}],
    },
)
class SizeSerializer(serializers.Serializer[Any]):
    """How many users are in a segment, as last counted: each hour, and after each write."""

    key = serializers.CharField()
    at_least = serializers.IntegerField(allow_null=True, help_text="null: not counted yet.")
    at_most = serializers.IntegerField(
        allow_null=True, help_text="The same number where the size is known exactly."
    )
    users = serializers.IntegerField(allow_null=True, help_text="All users at that time.")
    counted_at = serializers.DateTimeField(allow_null=True)
    outdated = serializers.BooleanField(help_text="true: the segment has changed since.")
    days = DailySizeSerializer(many=True, help_text="The oldest first.")


class SizeView(ApiPolicy):
    """The stored size of a segment, and its sizes by day. Nothing is counted for the answer."""

    names_segment = "key"
    permission_classes = [StaffWhoMayLook]

    @extend_schema(operation_id="segments_size", responses=SizeSerializer)
    def get(self, _request: Request, key: str) -> Response:
        segment = segment_of(key)
        size = SegmentSize.objects.filter(segment=segment).first()
        counted = {name: getattr(size, name, None) for name in COUNTED}
        is_outdated = size is None or size.is_outdated
        body = {"key": key, **counted, "outdated": is_outdated, "days": daily_counts([key])[key]}
        return Response(SizeSerializer(body).data)
