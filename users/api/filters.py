"""What the list of users is filtered by."""

from __future__ import annotations

from django_filters import rest_framework as filters

from featureflags.api.filters import TrueOrFalseFilter
from users.models import Role, User
from users.querysets import UserQuerySet


class UserFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    role = filters.ChoiceFilter(choices=Role.choices)
    segment = filters.CharFilter(
        method="in_segment", help_text="The key of a segment. An unknown one has no members."
    )
    email_verified = TrueOrFalseFilter()
    is_active = TrueOrFalseFilter()
    is_staff = TrueOrFalseFilter()

    class Meta:
        model = User
        fields = ["role", "email_verified", "is_active", "is_staff"]

    def in_segment(self, users: UserQuerySet[User], _name: str, segment: str) -> UserQuerySet[User]:
        return users.in_segment(segment)
