"""Users as the REST API shows them, to themselves and to staff."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from featureflags.api.strict import StrictModelSerializer
from users.metadata import find_problem
from users.models import User


@extend_schema_field(OpenApiTypes.OBJECT)
class MetadataField(serializers.Field[Any, Any, Any, Any]):
    """A JSON object within the limits of `users.metadata`."""

    def to_internal_value(self, data: Any) -> Any:
        problem = find_problem(data)
        if problem is not None:
            raise serializers.ValidationError(problem, code="invalid_metadata")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


EXAMPLE = {
    "id": "6d0c3a52-0000-4000-8000-000000000000",
    "email": "ada@agpt.co",
    "email_verified": True,
    "name": "Ada",
    "role": "user",
    "groups": ["Editors"],
    "is_active": True,
    "is_staff": False,
    "created_at": "2026-01-05T09:00:00Z",
    "last_seen_at": None,
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("Another role", value={"role": "admin"}, request_only=True),
        OpenApiExample("Ada", value={**EXAMPLE, "metadata": {"plan": "pro"}}, response_only=True),
    ]
)
class UserSerializer(StrictModelSerializer[User]):
    """A user for staff. What makes somebody powerful (staff, password, groups) is the admin's."""

    # Hidden SQL: load users with `with_group_names`.
    groups = serializers.SerializerMethodField()
    metadata = MetadataField(required=False, help_text="Replaced as a whole.")

    class Meta:
        model = User
        fields: tuple[str, ...] = (
            "id",
            "email",
            "email_verified",
            "name",
            "role",
            "metadata",
            "groups",
            "is_active",
            "is_staff",
            "created_at",
            "last_seen_at",
        )
        read_only_fields: tuple[str, ...] = (
            "id",
            "email",
            "is_staff",
            "created_at",
            "last_seen_at",
        )

    def get_groups(self, user: User) -> list[str]:
        names: list[str] = getattr(user, "group_names", [])
        return sorted(names)


@extend_schema_serializer(
    examples=[
        OpenApiExample("Another name", value={"name": "Ada"}, request_only=True),
        OpenApiExample("Ada", value=EXAMPLE, response_only=True),
    ]
)
class OwnUserSerializer(UserSerializer):
    """A user for themselves: they choose their name, and nothing that a rule may trust.

    Staff write metadata, also about a user: nobody sees their own.
    """

    class Meta(UserSerializer.Meta):
        fields = tuple(name for name in UserSerializer.Meta.fields if name != "metadata")
        read_only_fields = tuple(
            name for name in UserSerializer.Meta.fields if name not in {"name", "metadata"}
        )
