"""Why a row is in a segment, or not; and its context and flags. Looking: nothing here sends an event."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.contexts import without_unseen
from featureflags.api.examples import response_example
from featureflags.api.key_kinds import may_ask
from featureflags.api.pagination import PAGE_PARAMETERS, FlagPagination, Pages
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import required_parameter, true_or_false
from featureflags.api.serializers import (
    AnyJSONField,
    ContextSerializer,
    EvaluationSerializer,
    evaluation_data,
)
from featureflags.api.subjects import Staff, StaffWhoMayLook, SubjectRow, row_of
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import clocks_of
from featureflags.core.times import now_in_microseconds, to_rfc3339
from featureflags.evaluation import all_flags, looking
from featureflags.segments.explain import explain
from featureflags.segments.next_change import next_change
from featureflags.segments.ruleset import Ruleset

SUBJECT: Final = OpenApiParameter(
    "subject", str, required=True, description="The key of the row, such as the id of a user."
)
VERDICT: Final = OpenApiParameter(
    "verdict",
    bool,
    description="true: only the segments that it is in; false: only the others.",
)


class ConditionSerializer(serializers.Serializer[Any]):
    """One condition, and what it saw."""

    condition = serializers.CharField(help_text="In words.")
    held = serializers.BooleanField()
    why = serializers.CharField()
    observed = AnyJSONField(required=False, help_text="The value; left out where there is none.")
    nested = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        help_text="The explanation of each segment that the condition names, in the same form.",
    )


class ExplainedPercentageSerializer(serializers.Serializer[Any]):
    """The percentage that a rule takes of those who match."""

    condition = serializers.CharField(help_text="In words.")
    bucket = serializers.FloatField(
        allow_null=True, help_text="From 0 to 1; null: the value has no bucket."
    )
    held = serializers.BooleanField(help_text="true: the bucket is among those that it takes.")
    why = serializers.CharField()


class ExplainedRuleSerializer(serializers.Serializer[Any]):
    """One rule. It matches if all its conditions held, and its percentage."""

    number = serializers.IntegerField(help_text="Counted from 1.")
    description = serializers.CharField(allow_blank=True)
    matched = serializers.BooleanField()
    conditions = ConditionSerializer(many=True)
    percentage = ExplainedPercentageSerializer(
        required=False, help_text="Left out where the rule takes everybody who matches."
    )


@response_example(
    "In by a rule",
    {
        "segment": "paying_customer",
        "verdict": True,
        "decided_by": "rule 1",
        "rules": [
            {
                "number": 1,
                "description": "",
                "matched": True,
                "conditions": [
                    {
                        "condition": 'custom_plan is any of "pro", "team"',
                        "held": True,
                        "why": 'custom_plan is "pro": it is any of "pro", "team"',
                        "observed": "pro",
                    }
                ],
            }
        ],
        "next_change": None,
    },
)
class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a row is in a segment, or not."""

    segment = serializers.CharField()
    verdict = serializers.BooleanField(help_text="true: it is in the segment.")
    decided_by = serializers.CharField(
        help_text="`included`, `excluded`, `rule 1`, …, or `no rule`. Included beats excluded."
    )
    rules = ExplainedRuleSerializer(many=True)
    next_change = serializers.DateTimeField(
        allow_null=True,
        help_text="When this may change by itself, by a date or an expiry; null: never.",
    )


class ContextView(ApiPolicy):
    """A row as LaunchDarkly sees it: its attributes and segments."""

    permission_classes = [Staff]

    @extend_schema(operation_id="contexts_retrieve", responses=ContextSerializer)
    def get(self, request: Request, kind: str, key: str) -> Response:
        found = row_of(request, kind, key).context().to_dict()
        return Response(without_unseen(request, found))


class ContextFlagsView(ApiPolicy):
    """Every flag as a row gets it now."""

    permission_classes = [Staff]
    query_parameters = PAGE_PARAMETERS
    pagination_class = FlagPagination

    @extend_schema(operation_id="contexts_flags", responses=EvaluationSerializer(many=True))
    def get(self, request: Request, kind: str, key: str) -> Response:
        with looking():
            evaluations = all_flags(row_of(request, kind, key).row)
        shown = [
            evaluation_data(found, in_full=True)
            for found in evaluations.values()
            if may_ask(request, found.flag)
        ]
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(shown, request, view=self)
        return paginator.get_paginated_response(page)


class ContextSegmentsView(ApiPolicy):
    """Each segment of the kind, by key: whether a row is in it, and why."""

    permission_classes = [StaffWhoMayLook]
    query_parameters = PAGE_PARAMETERS | {VERDICT.name}
    pagination_class = Pages

    @extend_schema(
        operation_id="contexts_segments",
        parameters=[VERDICT],
        responses=ExplanationSerializer(many=True),
    )
    def get(self, request: Request, kind: str, key: str) -> Response:
        wanted = true_or_false(request, VERDICT.name)
        subject, now = row_of(request, kind, key), now_in_microseconds()
        ruleset = known_ruleset().ruleset
        within = ruleset.match(subject.attributes(now), now=now, kind=kind)
        keys = sorted(
            one.key
            for one in ruleset.definitions.values()
            if one.kind == kind and wanted in {None, one.key in within}
        )
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(keys, request, view=self)
        found = [explained(ruleset, each, subject, now) for each in page or ()]
        return paginator.get_paginated_response(found)


class SegmentExplainView(ApiPolicy):
    """Why a row is in a segment, or not: each rule, each condition, and what was seen."""

    names_segment = "key"
    permission_classes = [StaffWhoMayLook]
    query_parameters = frozenset({SUBJECT.name})

    @extend_schema(
        operation_id="segments_explain", parameters=[SUBJECT], responses=ExplanationSerializer
    )
    def get(self, request: Request, key: str) -> Response:
        definition = known_ruleset().ruleset.definitions.get(key)
        if definition is None:
            raise Http404
        subject = row_of(request, definition.kind, required_parameter(request, SUBJECT.name))
        return Response(explained(known_ruleset().ruleset, key, subject, now_in_microseconds()))


def explained(ruleset: Ruleset, key: str, subject: SubjectRow, now: int) -> dict[str, Any]:
    """One segment for one row at `now` (µs), in JSON types."""
    snapshot, attributes = subject.snapshot(), subject.attributes(now)
    explanation = explain(ruleset, key, attributes, now=now).to_dict()
    changes_at = next_change(
        ruleset,
        attributes,
        clocks_of(snapshot),
        now=now,
        segment_keys=[key],
        kind=subject.kind.name,
    )
    return {**explanation, "next_change": None if changes_at is None else to_rfc3339(changes_at)}
