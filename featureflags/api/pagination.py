"""The pagination of every list in the REST API."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from featureflags.core.input_gate import whole_number

MOST_ROWS = 500
PAGE_PARAMETERS = frozenset({"page", "page_size"})


class Pages(PageNumberPagination):
    """50 rows a page, or as many as the caller asks for."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MOST_ROWS

    last_page_strings = ()
    """A page is a number."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """As DRF's, with the limits."""
        limits = {"page": {"minimum": 1}, "page_size": {"minimum": 1, "maximum": MOST_ROWS}}
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for each in parameters:
            each["schema"] = {**each["schema"], **limits.get(each["name"], {})}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """As DRF's. Each member is always there; the first page has none before it."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        neighbour = {"type": ["string", "null"], "format": "uri", "example": None}
        members = {**page["properties"], "next": neighbour, "previous": neighbour}
        return {"type": "object", "required": sorted(members), "properties": members}

    def get_page_size(self, request: Request) -> int | None:
        """Raises ValidationError for a size that is not one: it is not ignored."""
        given = request.query_params.get("page_size")
        if given is not None and not 1 <= (whole_number(given) or 0) <= MOST_ROWS:
            raise ValidationError({"page_size": [f"This is a number from 1 to {MOST_ROWS}."]})
        return super().get_page_size(request)


class FlagPagination(Pages):
    """One page holds all flags of a usual project: callers want them all."""

    page_size = MOST_ROWS
