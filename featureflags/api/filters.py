"""What every list of the REST API is filtered and sorted by."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError as FieldError
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.core.input_gate import MOST_WORDS

TRUE_OR_FALSE = (("true", "true"), ("false", "false"))


@extend_schema_field(OpenApiTypes.BOOL)
class TrueOrFalseFilter(filters.TypedChoiceFilter):  # type: ignore[misc]  # it has no types
    """`true` or `false`. Anything else is refused: ignoring it would list everybody."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=TRUE_OR_FALSE, coerce=lambda text: text == "true", **options)


class MomentField(IsoDateTimeField):  # type: ignore[misc]  # as above
    """An instant that every time zone can show, such as UTC, in which databases compare."""

    def to_python(self, value: Any) -> Any:
        moment = super().to_python(value)
        try:
            return moment and moment.astimezone(datetime.UTC)
        except OverflowError:
            raise FieldError(self.error_messages["invalid"], code="invalid") from None


class MomentFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # as above
    field_class = MomentField


class WordsFilter(SearchFilter):
    """As DRF's, for at most MOST_WORDS words."""

    def get_search_terms(self, request: Request) -> list[str]:
        """The words. Raises ValidationError for too many."""
        words: list[str] = [*super().get_search_terms(request)]
        if len(words) > MOST_WORDS:
            why = f"Search for at most {MOST_WORDS} words."
            raise ValidationError({self.search_param: [why]})
        return words


class StableOrderingFilter(OrderingFilter):
    """As DRF's, with the primary key last: rows that are equal keep their page. Refuses unknown fields."""

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Iterable[str], view: APIView, request: Request
    ) -> list[str]:
        given = list(fields)
        valid = super().remove_invalid_fields(queryset, given, view, request)
        if len(valid) != len(given):
            raise ValidationError({self.ordering_param: ["Lists are not sorted by this."]})
        return valid

    def get_ordering(self, request: Request, queryset: Any, view: APIView) -> Any:
        """As DRF's. Refuses blanks, which DRF skips."""
        given = request.query_params.get(self.ordering_param)
        if given is not None and given.split() != [given]:
            raise ValidationError({self.ordering_param: ["Send names with commas between them."]})
        return super().get_ordering(request, queryset, view)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """The names, each with or without a minus before it."""
        names = "|".join(getattr(view, "ordering_fields", ()))
        pattern = f"^-?({names})(,-?({names}))*$"
        return [
            {
                "name": self.ordering_param,
                "in": "query",
                "required": False,
                "description": "Fields to sort by, with commas between them; - sorts downwards.",
                "schema": {"type": "string", "pattern": pattern},
            }
        ]

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        ordering: Sequence[str] | None = self.get_ordering(request, queryset, view)
        return queryset.order_by(*ordering, "pk") if ordering else queryset
