"""What the lists of the REST API are filtered and sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from users.models import Role, User
from users.querysets import UserQuerySet

TRUE_OR_FALSE = (("true", "true"), ("false", "false"))


class TrueOrFalseFilter(filters.TypedChoiceFilter):  # type: ignore[misc]  # it has no types
    """`true` or `false`. Anything else is refused: ignoring it would list everybody."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=TRUE_OR_FALSE, coerce=lambda text: text == "true", **options)


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


class StableOrderingFilter(OrderingFilter):
    """As DRF's, with the primary key last: rows that are equal keep their page."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        ordering: Sequence[str] | None = self.get_ordering(request, queryset, view)
        return queryset.order_by(*ordering, "pk") if ordering else queryset
