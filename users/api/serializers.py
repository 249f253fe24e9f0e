"""Users as the REST API shows them, to themselves and to staff."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
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


class UserSerializer(StrictModelSerializer[User]):
    """A user for staff. What makes somebody powerful (staff, password, groups) is the admin's.

    Hidden SQL: load users with `with_group_names`.
    """

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


class OwnUserSerializer(UserSerializer):
    """A user for themselves: they choose their name, and nothing that a rule may trust.

    Staff write metadata, also about a user: nobody sees their own.
    """

    class Meta(UserSerializer.Meta):
        fields = tuple(name for name in UserSerializer.Meta.fields if name != "metadata")
        read_only_fields = tuple(
            name for name in UserSerializer.Meta.fields if name not in {"name", "metadata"}
        )
