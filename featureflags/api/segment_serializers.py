"""Segments and members as the REST API reads and shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from featureflags.api.concurrency import LONGEST_NOTE, ConfirmField
from featureflags.api.examples import request_example
from featureflags.api.proposal_serializers import PLAN_FIELDS, PlanFieldsSerializer
from featureflags.api.rule_serializers import RULE, RulesField
from featureflags.api.strict import StrictCharField, StrictModelSerializer
from featureflags.core.types import Account
from featureflags.kinds.registry import USER, kind_named, user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.models.stored_forms import MOST_TAGS, in_stored_form
from featureflags.segments.definitions import Problem

STAMP = "2026-11-26T10:15:00Z"
ADA = "6d0c3a52-0000-4000-8000-000000000000"


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
                "kind": "user",
                "name": "Paying customers",
                "description": "",
                "is_active": True,
                "is_archived": False,
                "tags": ["checkout"],
                "owner": ADA,
                "rules": [RULE],
                "salt": "",
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
class SegmentSerializer(PlanFieldsSerializer, StrictModelSerializer[Segment]):
    """A segment. `key` and `kind` never change once it is saved."""

    _remarks: Sequence[Problem] = ()

    rules = RulesField(required=False)
    tags = serializers.ListField(
        child=StrictCharField(max_length=64),
        required=False,
        max_length=MOST_TAGS,
        help_text="Stored in lower case, sorted, each once.",
    )
    owner = serializers.PrimaryKeyRelatedField(
        queryset=user_kind().rows(),
        pk_field=serializers.UUIDField() if user_kind().has_uuid_keys else None,
        required=False,
        allow_null=True,
        help_text="The id of the user who answers for it.",
    )
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
            "kind",
            "name",
            "description",
            "is_active",
            "is_archived",
            "tags",
            "owner",
            "rules",
            "salt",
            "version",
            *("note", "confirm", *PLAN_FIELDS),
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
            kind = USER if self.instance is None else self.instance.kind
            kind = values.get("kind", kind)
            values["rules"], self._remarks = in_stored_form(values["rules"], kind)
        return values

    def get_remarks(self, _segment: Segment) -> list[str]:
        return [str(remark) for remark in self._remarks]

    def get_warnings(self, segment: Segment) -> list[str]:
        return [str(warning) for warning in segment.stored_rules().checked.warnings()]


@request_example(
    "Another version", {"key": "paying", "name": "Payers", "rules": [RULE], "version": 1}
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
            value={"user": ADA, "kind": "include", "reason": "Asked for it", "note": ""},
            request_only=True,
        ),
        OpenApiExample(
            "Included, as stored",
            value={
                "user": ADA,
                "key": "",
                "kind": "include",
                "reason": "Asked for it",
                "starts_at": None,
                "expires_at": None,
                "created_at": STAMP,
            },
            response_only=True,
        ),
    ]
)
class MemberSerializer(PlanFieldsSerializer, StrictModelSerializer[SegmentMember]):
    """A row that is included in the segment, or excluded, regardless of its rules.

    In a segment of the kind `user` it is a `user`, in one of another kind the `key` of a row.
    """

    user = serializers.PrimaryKeyRelatedField(
        queryset=user_kind().rows(),
        pk_field=serializers.UUIDField() if user_kind().has_uuid_keys else None,
        required=False,
        allow_null=True,
        help_text="Null in a segment of another kind.",
    )
    key = StrictCharField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        max_length=255,
        help_text="Of a row of another kind than `user`; empty in a segment of users.",
    )

    note = NoteField()
    confirm = ConfirmField(help_text="Where a change is refused until it is confirmed.")

    class Meta:
        model = SegmentMember
        fields = (
            *("user", "key", "kind", "reason", "starts_at", "expires_at"),
            *("note", "confirm", *PLAN_FIELDS, "created_at"),
        )
        read_only_fields = ("created_at",)

    def validate_user(self, user: Account | None) -> Account | None:
        key = None if user is None else user.pk
        if self.instance is not None and key != self.instance.user_id:
            raise serializers.ValidationError("The user of a membership cannot change.")
        return user

    def validate_key(self, key: str) -> str:
        kind = kind_named(self._kind)
        if not key and self._kind == USER:
            return key
        if kind is None or kind.name == USER:
            raise serializers.ValidationError("The members of this segment are users.")
        key = kind.canonical(key)
        if self.instance is not None and key != self.instance.key:
            raise serializers.ValidationError("The key of a membership cannot change.")
        if not kind.existing([key]):
            raise serializers.ValidationError(f"There is no {kind.name} with this key.")
        return key

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A new member is named."""
        name = "user" if self._kind == USER else "key"
        if self.instance is None and not attrs.get(name):
            message = serializers.Field.default_error_messages["required"]
            raise serializers.ValidationError({name: [message]})
        return attrs

    @property
    def _kind(self) -> str:
        """Of the segment."""
        return str(self.context.get("segment_kind", USER))
