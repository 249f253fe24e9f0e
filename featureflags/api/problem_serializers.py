"""The errors of the REST API as the OpenAPI schema shows them; `featureflags.api.problems` makes them."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import (
    OpenApiExample,
    PolymorphicProxySerializer,
    extend_schema_serializer,
)
from rest_framework import serializers

from featureflags.api.problems import CONTENT_TYPE, TITLES, URN, problem
from featureflags.api.serializers import AnyJSONField
from featureflags.editing import Reason

CONFIRMATION: Final = "confirmation-required"
CHANGED_MEANWHILE: Final = "changed-meanwhile"
WHY: Final = (
    "Why it must be confirmed; empty: it need not be. `many`: it moves more than the settings allow."
    " `uncounted`: there was no time to count, it may move many. `flags`: a flag that is on uses the segment."
    " `disappears`: flags will find nobody in it."
)
REQUEST_ID: Final = "0f8a1c52-7d1e-4c0b-9a55-2f6c1d3e4b5a"


def _types(*kinds: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(
        choices=[(f"{URN}{kind}", TITLES[kind]) for kind in kinds], help_text="It never changes."
    )


def _example(name: str, status: int, data: Any) -> OpenApiExample:
    return OpenApiExample(
        name,
        value=problem(status, data, request_id=REQUEST_ID),
        media_type=CONTENT_TYPE,
        status_codes=[str(status)],
        response_only=True,
    )


@extend_schema_serializer(
    component_name="Problem",
    examples=[
        _example("Unknown parameter", 400, {"colour": ["There is no such parameter."]}),
        _example("No key", 401, {"detail": "Authentication credentials were not provided."}),
        _example("Another scope", 403, {"detail": "This needs an API key of the scope “write”."}),
        _example("Nothing there", 404, {"detail": "Not found."}),
        _example("Not acceptable", 406, {"detail": "Could not satisfy the request Accept header."}),
        _example("Conflict", 409, {"detail": "Somebody changed this in the meantime. Look again."}),
        _example("Too large", 413, {"detail": "The body is too large."}),
        _example("Not JSON", 415, {"detail": 'Unsupported media type "text/plain" in request.'}),
        _example("Over the limit", 429, {"detail": "Request was throttled."}),
        _example("No database", 503, {"detail": "The database does not answer."}),
    ],
)
class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457). `type` is for programs, `title` and `detail` are for people."""

    type = _types(*(kind for kind in TITLES if kind not in {CONFIRMATION, CHANGED_MEANWHILE}))
    title = serializers.CharField()
    status = serializers.IntegerField(help_text="The status of the answer.")
    detail = serializers.CharField(help_text="What is wrong. May change.")
    request_id = serializers.CharField(required=False, help_text="Also in the server's log.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field of this name
        child=AnyJSONField(), required=False, help_text="The messages by field."
    )


class ReasonsField(serializers.ListField):
    """The codes of `Reason`."""

    child = serializers.ChoiceField(choices=[reason.value for reason in Reason])

    def __init__(self, **options: Any) -> None:
        options.setdefault("help_text", WHY)
        super().__init__(**options)


class EstimateSerializer(serializers.Serializer[Any]):
    """From a random sample. In 99 of 100 samples the exact number lies between `low` and `high`."""

    about = serializers.IntegerField(min_value=0)
    low = serializers.IntegerField(min_value=0)
    high = serializers.IntegerField(min_value=0)


class PartSerializer(serializers.Serializer[Any]):
    """How many users."""

    at_least = serializers.IntegerField(min_value=0)
    exact = serializers.BooleanField(help_text="false: `at_least` is a lower bound.")
    estimate = EstimateSerializer(
        required=False, help_text="Of a preview that could not count everybody in a large table."
    )
    sample = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField()),
        required=False,
        help_text="A few of them, for callers who may view users.",
    )


class FlagUseSerializer(serializers.Serializer[Any]):
    """A flag that uses the segment."""

    flag = serializers.CharField()
    live = serializers.BooleanField(help_text="true: it decides now.")
    words = serializers.CharField()
    through = serializers.CharField(
        allow_null=True, help_text="Another segment that the flag names, and that names this one."
    )


class ValueChangeSerializer(serializers.Serializer[Any]):
    """Users who get one value before, and another one after; both as JSON texts."""

    before = serializers.CharField()
    after = serializers.CharField()
    count = serializers.IntegerField(min_value=0)


class FlagEffectSerializer(serializers.Serializer[Any]):
    """What changes of one flag."""

    flag = serializers.CharField()
    changes = ValueChangeSerializer(many=True)
    unchanged = serializers.IntegerField(min_value=0)


class RowsEffectsSerializer(serializers.Serializer[Any]):
    """What rows of one kind get of each flag, before and after, by LaunchDarkly's SDK."""

    kind = serializers.CharField(help_text="Of the rows: `user`, or another kind.")
    asked = serializers.IntegerField(min_value=0, help_text="How many the numbers are about.")
    all = serializers.BooleanField(help_text="false: they are a sample of those who move.")
    flags = FlagEffectSerializer(many=True)


class EffectsSerializer(RowsEffectsSerializer):
    """What those who move get of each flag, before and after, by LaunchDarkly's SDK."""

    belonging = RowsEffectsSerializer(
        many=True,
        help_text="The same for the rows that belong to those who move, such as the users of an organization:"
        " a flag is served to them with it.",
    )


@extend_schema_serializer(
    component_name="ConfirmationRequired",
    examples=[
        _example(
            "To be confirmed",
            409,
            {
                "detail": "Nothing is written yet. To do this, send “confirm”: true, or the text of “confirm” in"
                " this answer, which holds for exactly this change.",
                "needs_approval": False,
                "reasons": ["many", "flags"],
                "changes": [
                    'Rule 1: changed condition: plan is any of "pro" or "team" → plan is any of "pro"'
                ],
                "entering": {"at_least": 0, "exact": True},
                "leaving": {"at_least": 12, "exact": True},
                "flags_known": True,
                "flags": [
                    {
                        "flag": "new-checkout",
                        "live": True,
                        "words": "rule 1, condition 1 of the flag “new-checkout”",
                        "through": None,
                    }
                ],
                "effects": {
                    "kind": "user",
                    "asked": 12,
                    "all": True,
                    "flags": [
                        {
                            "flag": "new-checkout",
                            "changes": [{"before": "true", "after": "false", "count": 12}],
                            "unchanged": 0,
                        }
                    ],
                    "belonging": [],
                },
                "needs_key": False,
                "confirm": "1uQxYz:4f0c…",
            },
        )
    ],
)
class ConfirmationRequiredSerializer(ProblemSerializer):
    """Nothing is written: somebody must confirm the change. Send it again with `confirm`."""

    type = _types(CONFIRMATION)
    errors = None  # type: ignore[assignment]  # removes the field
    needs_approval = serializers.BooleanField(
        help_text="true: somebody else must approve it. Send it again with `propose`."
    )
    reasons = ReasonsField()
    changes = serializers.ListField(child=serializers.CharField(), help_text="In words.")
    entering = PartSerializer()
    leaving = PartSerializer()
    flags_known = serializers.BooleanField(
        help_text="false: LaunchDarkly has sent no flags, so that `flags` is not complete."
    )
    flags = FlagUseSerializer(many=True)
    effects = EffectsSerializer(allow_null=True)
    needs_key = serializers.BooleanField(help_text="true: only the segment's key confirms this.")
    confirm = serializers.CharField(
        allow_null=True,
        help_text="Send it as `confirm`. null: only the segment's key confirms this.",
    )


class ChangeOfOthersSerializer(serializers.Serializer[Any]):
    """What somebody else has changed."""

    version = serializers.IntegerField()
    at = serializers.DateTimeField()
    who = serializers.CharField()
    note = serializers.CharField()
    changes = serializers.ListField(child=serializers.CharField(), help_text="In words.")


CHANGED_DATA: Final = {
    "detail": "Somebody has changed this segment since version 2.",
    "version": 3,
    "changed": [
        {
            "version": 3,
            "at": "2026-11-26T10:15:00Z",
            "who": "Ada",
            "note": "In plain words",
            "changes": ["Name: “Paying” → “Payers”"],
        }
    ],
}


@extend_schema_serializer(
    component_name="ChangedMeanwhile",
    examples=[
        _example("Changed by others (409)", 409, CHANGED_DATA),
        _example("Changed by others (412)", 412, CHANGED_DATA),
    ],
)
class ChangedMeanwhileSerializer(ProblemSerializer):
    """Nothing is written: others have changed the segment since the version that was sent."""

    type = _types(CHANGED_MEANWHILE)
    errors = None  # type: ignore[assignment]  # removes the field
    version = serializers.IntegerField(help_text="The stored version.")
    changed = ChangeOfOthersSerializer(many=True, help_text="The newest first.")


PROBLEM: Final = ProblemSerializer
CHANGED: Final = ChangedMeanwhileSerializer
CONFLICTS: Final = PolymorphicProxySerializer(
    component_name="Conflict",
    serializers=[ConfirmationRequiredSerializer, ChangedMeanwhileSerializer, ProblemSerializer],
    resource_type_field_name=None,
)
