"""Segments and members as the REST API reads and shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from featureflags.api.concurrency import LONGEST_NOTE, ConfirmField
from featureflags.api.strict import StrictCharField, StrictModelSerializer
from featureflags.core.types import Account
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.models.stored_forms import in_stored_form
from featureflags.segments.definitions import Problem

RULES_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["clauses"],
        "properties": {
            "id": {"type": "string"},
            "description": {"type": "string"},
            "clauses": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["attribute", "op", "values"],
                    "properties": {
                        "attribute": {"type": "string"},
                        "op": {"type": "string"},
                        "values": {"type": "array", "items": {}},
                        "negate": {"type": "boolean"},
                    },
                },
            },
        },
    },
}


@extend_schema_field(RULES_SCHEMA)
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
