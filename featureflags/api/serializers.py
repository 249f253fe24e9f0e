"""The answers of the flags and contexts endpoints, for the OpenAPI schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from featureflags.api.examples import response_example
from featureflags.contexts.results import ContextSource, Degradation, Evaluation

SOURCES = [source.value for source in ContextSource]
DEGRADATIONS = [reason.value for reason in Degradation]

PUBLIC_REASONS = frozenset({"kind", "errorKind"})
"""What anybody may know of a reason. Rules and prerequisites name what is in the dashboard."""


@extend_schema_field(OpenApiTypes.ANY)
class AnyJSONField(serializers.JSONField):
    """A flag's value: any JSON."""


@response_example(
    "On by a rule",
    {
        "flag": "new-checkout",
        "value": True,
        "variation": 0,
        "reason": {"kind": "RULE_MATCH"},
        "source": "cache",
        "degraded": [],
    },
)
class EvaluationSerializer(serializers.Serializer[Any]):
    """The answer to one flag, and whether it was sure."""

    flag = serializers.CharField()
    value = AnyJSONField()
    variation = serializers.IntegerField(
        allow_null=True, help_text="LaunchDarkly's index; null for a default or a forced value."
    )
    reason = serializers.DictField(help_text="LaunchDarkly's reason. Staff see all of it.")
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the field's own argument
        choices=SOURCES, help_text="Where the user behind the answer came from."
    )
    degraded = serializers.ListField(
        child=serializers.ChoiceField(choices=DEGRADATIONS),
        help_text="Empty: this is the answer. Otherwise why it may not be.",
    )


@response_example(
    "An employee",
    {
        "key": "6d0c3a52-0000-4000-8000-000000000000",
        "attributes": {
            "email": "ada@agpt.co",
            "plan": "pro",
            "segments": ["employee"],
        },
        "private_attributes": ["email"],
        "segments": ["employee"],
        "source": "cache",
        "degraded": [],
        "valid_until": None,
    },
)
class ContextSerializer(serializers.Serializer[Any]):
    """A user as LaunchDarkly sees them."""

    key = serializers.CharField()
    attributes = serializers.DictField(help_text="All that LaunchDarkly is given, by name.")
    private_attributes = serializers.ListField(
        child=serializers.CharField(), help_text="Usable in rules, redacted from events."
    )
    segments = serializers.ListField(child=serializers.CharField())
    source = serializers.ChoiceField(choices=SOURCES)  # type: ignore[assignment]  # as above
    degraded = serializers.ListField(child=serializers.ChoiceField(choices=DEGRADATIONS))
    valid_until = serializers.DateTimeField(
        allow_null=True, help_text="When an attribute or a segment changes by itself; null: never."
    )


def evaluation_data(evaluation: Evaluation, *, in_full: bool) -> dict[str, Any]:
    """One evaluation in JSON types; unless `in_full`, without what only staff may know."""
    data = evaluation.to_dict()
    if not in_full:
        reason = data["reason"].items()
        data["reason"] = {name: value for name, value in reason if name in PUBLIC_REASONS}
    return data


@response_example(
    "A visitor",
    {
        "clientSideId": "65f0c0ffee65f0c0ffee65f0",
        "context": {"kind": "user", "key": "8a2c", "anonymous": True},
        "hash": "1f0e",
        "flags": {
            "new-checkout": True,
            "$flagsState": {"new-checkout": {"variation": 0, "version": 3}},
            "$valid": True,
        },
        "events": "/guidon/events?ticket=WyI4YTJj",
    },
)
class BootstrapSerializer(serializers.Serializer[Any]):
    """What LaunchDarkly's SDK in a browser starts with."""

    clientSideId = serializers.CharField(allow_null=True, help_text="Of the environment.")  # noqa: N815
    context = serializers.DictField(  # type: ignore[assignment]  # DRF collects the fields
        help_text="The caller as a context, without private attributes and segments."
    )
    hash = serializers.CharField(allow_null=True, help_text="For LaunchDarkly's secure mode.")
    flags = serializers.DictField(
        help_text="Values by key, and what LaunchDarkly's SDK needs in `$flagsState` and `$valid`."
    )
    events = serializers.CharField(
        allow_null=True, help_text="The path of a stream that says when to ask again; null: poll."
    )
