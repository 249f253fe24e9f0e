"""Why a row gets a flag's value: LaunchDarkly's reason, each rule, and each condition down to the attribute."""

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

from featureflags.api.concurrency import kinds_seen
from featureflags.api.examples import response_example
from featureflags.api.explanations import SUBJECT
from featureflags.api.key_kinds import may_ask
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import required_parameter
from featureflags.api.serializers import AnyJSONField, EvaluationSerializer, evaluation_data
from featureflags.api.subjects import StaffWhoMayLook, row_of
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation import looking, variation_detail
from featureflags.flags.declared import declared_flags
from featureflags.inspection.flag_explanation import explain_flag
from featureflags.inspection.flag_traces import traces
from featureflags.kinds.snapshot import USER
from featureflags.launchdarkly.client import feature_store

KIND: Final = OpenApiParameter(
    "kind", str, default=USER, description="The kind of the row; `user` if it is not sent."
)


class FlagClauseSerializer(serializers.Serializer[Any]):
    """One condition of a rule, and what it saw."""

    number = serializers.IntegerField(help_text="Counted from 1.")
    condition = serializers.CharField(help_text="In words.")
    held = serializers.BooleanField(allow_null=True, help_text="null: it cannot be judged here.")
    why = serializers.CharField()
    observed = AnyJSONField(required=False, help_text="The value; left out where there is none.")
    segments = serializers.ListField(
        child=serializers.CharField(), help_text="Our segments that it names."
    )


class FlagRuleSerializer(serializers.Serializer[Any]):
    """One rule of a flag, or of a segment of LaunchDarkly's own."""

    number = serializers.IntegerField(help_text="Counted from 1.")
    description = serializers.CharField(allow_blank=True)
    matched = serializers.BooleanField(allow_null=True, help_text="null: it cannot be judged here.")
    conditions = FlagClauseSerializer(many=True)
    serves = serializers.CharField(allow_null=True, help_text="In words; null: of a segment.")


class FlagSegmentSerializer(serializers.Serializer[Any]):
    """A segment of LaunchDarkly's own that the rules use."""

    key = serializers.CharField()
    verdict = serializers.BooleanField(allow_null=True, help_text="null: it cannot be judged here.")
    decided_by = serializers.CharField()
    rules = FlagRuleSerializer(many=True)


class TracesSerializer(serializers.Serializer[Any]):
    """The flag, as it was judged for this row."""

    on = serializers.BooleanField()
    decided_by = serializers.IntegerField(
        allow_null=True, help_text="The number of the deciding rule; null: no rule decided."
    )
    agrees = serializers.BooleanField(
        help_text="false: the rules below do not lead to what LaunchDarkly answered."
    )
    rules = FlagRuleSerializer(many=True)
    segments = FlagSegmentSerializer(many=True)
    prerequisites = serializers.ListField(child=serializers.CharField(), help_text="In words.")
    fallthrough = serializers.CharField(help_text="What everybody else gets, in words.")
    off = serializers.CharField(help_text="What it serves while it is off, in words.")


@response_example(
    "On by a rule",
    {
        "kind": "user",
        "key": "6d0c3a52-0000-4000-8000-000000000000",
        "answer": {
            "flag": "new-checkout",
            "value": True,
            "variation": 0,
            "reason": {"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "r1"},
            "source": "cache",
            "degraded": [],
        },
        "explanation": {
            "on": True,
            "decided_by": 1,
            "agrees": True,
            "rules": [
                {
                    "number": 1,
                    "description": "Who pays",
                    "matched": True,
                    "conditions": [
                        {
                            "number": 1,
                            "condition": 'segments is any of "paying_customer"',
                            "held": True,
                            "why": "in paying_customer",
                            "observed": ["paying_customer"],
                            "segments": ["paying_customer"],
                        }
                    ],
                    "serves": "true",
                }
            ],
            "segments": [],
            "prerequisites": [],
            "fallthrough": "false",
            "off": "false",
        },
    },
)
class FlagExplanationSerializer(serializers.Serializer[Any]):
    """What a row gets, and why."""

    kind = serializers.CharField()
    key = serializers.CharField()
    answer = EvaluationSerializer()
    explanation = TracesSerializer(
        allow_null=True, help_text="null: LaunchDarkly has no such flag; it is declared in code."
    )


class FlagExplainView(ApiPolicy):
    """Why a row gets the value of a flag. LaunchDarkly is sent no events."""

    permission_classes = [StaffWhoMayLook]
    query_parameters = frozenset({KIND.name, SUBJECT.name})

    @extend_schema(
        operation_id="flags_explain",
        parameters=[KIND, SUBJECT],
        responses=FlagExplanationSerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        kind = request.query_params.get(KIND.name, USER)
        subject = row_of(request, kind, required_parameter(request, SUBJECT.name))
        if not may_ask(request, key):
            raise Http404
        with looking(), unit_of_work():
            evaluation = variation_detail(key, subject.row)
            found = subject.context()
            data = feature_store().raw()
            explanation = explain_flag(
                key,
                data,
                found.context.to_dict(),
                evaluation.reason,
                found.all_segments,
                seen=kinds_seen(request),
            )
        if explanation is None and key not in declared_flags():
            raise Http404
        body = {
            "kind": kind,
            "key": subject.key,
            "answer": evaluation_data(evaluation, in_full=True),
            "explanation": None if explanation is None else traces(explanation),
        }
        return Response(body)
