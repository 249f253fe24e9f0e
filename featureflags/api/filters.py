"""What every list of the REST API is filtered and sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

TRUE_OR_FALSE = (("true", "true"), ("false", "false"))


class TrueOrFalseFilter(filters.TypedChoiceFilter):  # type: ignore[misc]  # it has no types
    """`true` or `false`. Anything else is refused: ignoring it would list everybody."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=TRUE_OR_FALSE, coerce=lambda text: text == "true", **options)


class StableOrderingFilter(OrderingFilter):
    """As DRF's, with the primary key last: rows that are equal keep their page."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        ordering: Sequence[str] | None = self.get_ordering(request, queryset, view)
        return queryset.order_by(*ordering, "pk") if ordering else queryset
