"""Segments and members as the REST API reads and shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from featureflags.api.concurrency import LONGEST_NOTE, ConfirmField
from featureflags.api.serializers import AnyJSONField
from featureflags.api.strict import StrictCharField, StrictModelSerializer, StrictSerializer
from featureflags.core.types import Account
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.models.stored_forms import in_stored_form
from featureflags.segments.definitions import USER_KIND, Problem
from featureflags.segments.operator_labels import OPERATORS

RULE = {
    "id": "pro",
    "description": "On a plan that costs money",
    "clauses": [
        {"attribute": "custom_plan", "op": "in", "values": ["pro", "team"], "negate": False}
    ],
}
STAMP = "2026-11-26T10:15:00Z"
USER = "6d0c3a52-0000-4000-8000-000000000000"


class ClauseSerializer(StrictSerializer[Any]):
    """One condition of a rule."""

    attribute = serializers.CharField(
        required=False, allow_null=True, help_text="Not needed for `segmentMatch`."
    )
    op = serializers.ChoiceField(choices=[(op, info.label) for op, info in OPERATORS.items()])
    values = serializers.ListField(child=AnyJSONField(), min_length=1)
    negate = serializers.BooleanField(required=False, allow_null=True)
    contextKind = serializers.ChoiceField(  # noqa: N815 - LaunchDarkly's name
        choices=[USER_KIND],
        required=False,
        allow_null=True,
        help_text="With it, an attribute may be a path: `/custom_address/city`.",
    )


class RuleSerializer(StrictSerializer[Any]):
    """A user is in the segment if all conditions of any rule hold."""

    id = serializers.CharField(required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_null=True)
    clauses = serializers.ListField(child=ClauseSerializer(), min_length=1)


@extend_schema_field(RuleSerializer(many=True))
class RulesField(serializers.Field[Any, Any, Any, Any]):
    """Rules as LaunchDarkly writes them. The model validates them."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class NoteField(StrictCharField):
    """A note for the history."""

    def __init__(self) -> None:
        super().__init__(
            write_only=True,
            required=False,
            allow_blank=True,
            max_length=LONGEST_NOTE,
            help_text="Why it is changed, for the history.",
        )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Paying customers",
            value={
                "key": "paying",
                "name": "Paying customers",
                "description": "",
                "is_active": True,
                "rules": [RULE],
                "note": "For the new checkout",
            },
            request_only=True,
        ),
        OpenApiExample(
            "Paying customers, as stored",
            value={
                "key": "paying",
                "name": "Paying customers",
                "description": "",
                "is_active": True,
                "rules": [RULE],
                "version": 1,
                "warnings": [],
                "remarks": [],
                "created_at": STAMP,
                "updated_at": STAMP,
            },
            response_only=True,
        ),
    ]
)
class SegmentSerializer(StrictModelSerializer[Segment]):
    """A segment. `key` never changes once it is saved."""

    _remarks: Sequence[Problem] = ()

    rules = RulesField(required=False)
    note = NoteField()
    confirm = ConfirmField(help_text="Where a change is refused until it is confirmed.")
    warnings = serializers.SerializerMethodField(
        help_text="Rules that use only what users can write themselves."
    )
    remarks = serializers.SerializerMethodField(
        help_text=(
            "After a write: values of the rules that were changed to be saved, since e-mail addresses,"
            " their domains and keys are stored in lower case. Ignored where it is sent."
        )
    )

    class Meta:
        model = Segment
        fields = (
            "key",
            "name",
            "description",
            "is_active",
            "rules",
            "version",
            "note",
            "confirm",
            "warnings",
            "remarks",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("version", "created_at", "updated_at")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if name != "remarks"}
        values = super().to_internal_value(data)
        if "rules" in values:
            values["rules"], self._remarks = in_stored_form(values["rules"])
        return values

    def get_remarks(self, _segment: Segment) -> list[str]:
        return [str(remark) for remark in self._remarks]

    def get_warnings(self, segment: Segment) -> list[str]:
        return [str(warning) for warning in segment.stored_rules().checked.warnings()]


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Another version",
            value={"key": "paying", "name": "Payers", "rules": [RULE], "version": 1},
            request_only=True,
        )
    ]
)
class SegmentUpdateSerializer(SegmentSerializer):
    """A segment as it is written again. Fields that cannot be written may be sent as they were read."""

    version = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="The version that was read: 409 if others have changed the segment since.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Included",
            value={"user": USER, "kind": "include", "reason": "Asked for it", "note": ""},
            request_only=True,
        ),
        OpenApiExample(
            "Included, as stored",
            value={
                "user": USER,
                "kind": "include",
                "reason": "Asked for it",
                "expires_at": None,
                "created_at": STAMP,
            },
            response_only=True,
        ),
    ]
)
class MemberSerializer(StrictModelSerializer[SegmentMember]):
    """A user who is included in the segment, or excluded, regardless of its rules."""

    user = serializers.PrimaryKeyRelatedField(
        queryset=user_kind().rows(), pk_field=serializers.UUIDField()
    )

    note = NoteField()
    confirm = ConfirmField(help_text="Where a change is refused until it is confirmed.")

    class Meta:
        model = SegmentMember
        fields = ("user", "kind", "reason", "expires_at", "note", "confirm", "created_at")
        read_only_fields = ("created_at",)

    def validate_user(self, user: Account) -> Account:
        if self.instance is not None and user.pk != self.instance.user_id:
            raise serializers.ValidationError("The user of a membership cannot change.")
        return user
